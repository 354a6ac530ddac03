/** Ctrl-C and SIGTERM: the first asks the command to leave its group in order, a second ends at once. */

export interface Stop {
  readonly signal: AbortSignal
  /** As if the first Ctrl-C had come, for instance because nobody reads the output any more. */
  ask(): void
  dispose(): void
}

const numbers = { SIGINT: 2, SIGTERM: 15 } as const
type StopSignal = keyof typeof numbers

export function listenForStop(): Stop {
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(128 + (numbers[name as StopSignal] ?? 0))
    controller.abort(name)
  }
  for (const name of Object.keys(numbers) as StopSignal[]) process.on(name, onSignal)
  return {
    signal: controller.signal,
    ask: () => controller.abort('asked'),
    dispose: () => {
      for (const name of Object.keys(numbers) as StopSignal[]) process.off(name, onSignal)
    },
  }
}

/** Resolves when the signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

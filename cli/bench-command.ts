/**
 * `amoebacast bench`: the measurements of bench/, which stands above this folder. So it is started as a process of
 * its own with the words of the command line as they are; what they mean is told here, for help and completion.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Command } from './command.ts'
import { CommandError, ExitStatus } from './errors.ts'
import type { OptionTable } from './options.ts'
import type { Stop } from './stop.ts'

const script = fileURLToPath(new URL('../bench/main.js', import.meta.url))

/** Of bench/main.ts as well. Lists and fractions are texts here, and checked there. */
export const benchOptions: OptionTable = {
  members: { kind: 'text', placeholder: 'N,…', describe: 'Member processes, 2 to 64' },
  size: { kind: 'text', placeholder: 'B,…', describe: 'Bytes of a message, 8 to 1048576' },
  'packet-size': {
    kind: 'text',
    placeholder: 'B,…',
    describe: 'Bytes of the largest packet, 512 to 65507',
  },
  method: {
    kind: 'choice',
    choices: ['auto', 'pb', 'bb'],
    describe: 'Who broadcasts; the bench methods compares',
    fallback: 'auto',
  },
  against: {
    kind: 'text',
    placeholder: 'PEER,…',
    describe: 'Other systems to measure beside, where installed: redis, nats, nats-core, etcd',
  },
  seconds: { kind: 'text', placeholder: 'S', describe: 'Of each run that counts', fallback: '1' },
  runs: {
    kind: 'whole',
    min: 1,
    max: 100,
    placeholder: 'N',
    describe: 'That count, after one for warming up',
    fallback: '5',
  },
  kills: {
    kind: 'whole',
    min: 1,
    max: 10_000,
    placeholder: 'N',
    describe: 'Of a sequencer, in each setting of failover',
    fallback: '30',
  },
  minutes: { kind: 'text', placeholder: 'M', describe: 'That soak goes on for', fallback: '2' },
  out: {
    kind: 'text',
    placeholder: 'DIR',
    describe: 'Folder for report.html, results.json and plots',
    fallback: 'reports/bench',
  },
  profile: {
    kind: 'text',
    placeholder: 'DIR',
    describe: 'Folder for a processor profile of every member process',
  },
}

export const benchCommand: Command = {
  name: 'bench',
  describe: 'Measure groups on this machine, and write a report',
  options: benchOptions,
  examples: [
    ['amoebacast bench', 'everything, with the defaults'],
    [
      'amoebacast bench --against redis,nats --runs 10',
      'beside other systems; bench --help names single ones',
    ],
  ],
  run: ({ stop }) => runBench([], stop),
}

/** Resolves with its exit status. Ctrl-C reaches the whole terminal; SIGTERM is passed on. */
export function runBench(args: readonly string[], stop: Stop): Promise<number> {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: 'inherit',
    env: { ...process.env, AMOEBACAST_BENCH_CALLED_AS: 'amoebacast bench' },
  })
  const pass = (): void => {
    child.kill(stop.signal.reason === 'SIGINT' ? 'SIGINT' : 'SIGTERM')
  }
  stop.signal.addEventListener('abort', pass, { once: true })
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new CommandError(`the bench could not be started: ${error.message}`)))
    child.on('exit', (code) => {
      stop.signal.removeEventListener('abort', pass)
      resolve(code ?? ExitStatus.failure)
    })
  })
}

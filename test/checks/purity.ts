/**
 * Finds what a pure state machine may not touch: clocks, dice, timers, the process, the network. Comments
 * and texts are taken out first, so that they may speak of all of it.
 */

const banned: readonly (readonly [RegExp, string])[] = [
  [/(?<![.\w$])Date\b/, 'a clock: Date'],
  [/(?<![.\w$])performance\b/, 'a clock: performance'],
  [/\bMath\s*\.\s*random\b/, 'dice: Math.random'],
  [/(?<![.\w$])(?:crypto|getRandomValues|randomUUID)\b/, 'dice: crypto'],
  [/(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/, 'a timer'],
  [/(?<![.\w$])process\b/, 'the process'],
  [/(?<![.\w$])Buffer\b/, "Node's Buffer"],
  [/(?<![.\w$])(?:globalThis|console|fetch|require)\b/, 'the world outside'],
  [/(?<![.\w$])(?:async|await|Promise)\b/, 'time passing: promises'],
]

const bannedImports = /^(?:node:|prom-client$|pino$|msgpackr$)/

export function impurities(path: string, source: string, imports: readonly string[]): string[] {
  const found = imports.filter((name) => bannedImports.test(name)).map((name) => `${path} imports ${name}`)
  for (const [i, line] of withoutTexts(source).split('\n').entries()) {
    for (const [pattern, what] of banned) if (pattern.test(line)) found.push(`${path}:${i + 1} uses ${what}`)
  }
  return found
}

/** The source with comments and the contents of texts blanked; line numbers stay. Template holes stay too. */
export function withoutTexts(source: string): string {
  let out = ''
  let i = 0
  /** For each template that we are inside a hole of: how many braces are open in it. */
  const holes: number[] = []
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ')
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = i
    const match = pattern.exec(source)?.[0]
    return match === '' ? undefined : match
  }
  while (i < source.length) {
    const skipped = take(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"/y)
    if (skipped !== undefined) {
      out += blank(skipped)
      i += skipped.length
      continue
    }
    const character = source[i]!
    const closesHole = character === '}' && holes.at(-1) === 0
    if (character === '`' || closesHole) {
      if (closesHole) holes.pop()
      i++
      const text = take(/(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y) ?? ''
      const opensHole = source.startsWith('${', i + text.length)
      if (opensHole) holes.push(0)
      out += ` ${blank(text)}${opensHole ? '  ' : ' '}`
      i += text.length + (opensHole ? 2 : 1)
      continue
    }
    if (holes.length > 0 && character === '{') holes[holes.length - 1]!++
    if (holes.length > 0 && character === '}') holes[holes.length - 1]!--
    out += character
    i++
  }
  return out
}

/** Real texts for tests: papers beside the repository where there are some, else text made from a seed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { Prng } from '../../kernel/prng.ts'
import { repositoryRoot } from './files.ts'

const syllables = [
  'an',
  'be',
  'cor',
  'dé',
  'el',
  'fü',
  'go',
  'hin',
  'ix',
  'ja',
  'ko',
  'lu',
  'mé',
  'no',
  'ör',
  'pa',
  'qui',
  'ra',
]

/** `count` different texts, each as its lines; at most `maxLines` of each. */
export function realTexts(count: number, maxLines: number): string[][] {
  const folder = `${repositoryRoot}../shared/papers`
  const files = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.txt'))
        .sort()
    : []
  return Array.from({ length: count }, (_, i) => {
    const file = files[i]
    const lines =
      file === undefined ? madeText(i + 1, maxLines) : toLines(readFileSync(`${folder}/${file}`, 'utf8'))
    return lines.slice(0, maxLines)
  })
}

function toLines(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''))
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** Lines of made-up words from a seed: some empty, some long, some with letters of several bytes. */
export function madeText(seed: number, lines: number): string[] {
  const dice = new Prng(seed)
  const word = (): string => Array.from({ length: dice.between(1, 4) }, () => dice.pick(syllables)).join('')
  return Array.from({ length: lines }, () => {
    const words = dice.chance(1, 10) ? 0 : dice.chance(1, 20) ? dice.between(50, 200) : dice.between(1, 14)
    return Array.from({ length: words }, word).join(' ')
  })
}

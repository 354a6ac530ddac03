/** Texts for tests, made from a seed. */
import { Prng } from '../../kernel/prng.ts'

const syllables = 'an be cor dé el fü go hin ix ja ko lu mé no ör pa qui ra'.split(' ')

/** Lines of made-up words from a seed: some empty, some long, some with letters of several bytes. */
export function madeText(seed: number, lines: number): string[] {
  const dice = new Prng(seed)
  const word = (): string => Array.from({ length: dice.between(1, 4) }, () => dice.pick(syllables)).join('')
  return Array.from({ length: lines }, () => {
    const words = dice.chance(1, 10) ? 0 : dice.chance(1, 20) ? dice.between(50, 200) : dice.between(1, 14)
    return Array.from({ length: words }, word).join(' ')
  })
}

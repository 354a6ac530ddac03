/** Where all rules are kept each scene ends well; `npm run mutants` takes the rules away. */
import { test } from 'vitest'
import { scenes } from './scenes.ts'

test.each(Object.keys(scenes))('%s', (name) => scenes[name]!())

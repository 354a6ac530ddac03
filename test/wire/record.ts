/** `node dist/test/wire/record.js DIR`: writes what this version's packets look like, for a version that is about to be released. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { WIRE_VERSION } from '../../kernel/packet.ts'
import { fieldsOf, formatHex } from './reading.ts'
import { packetOf, samples } from './samples.ts'

const folder = process.argv[2]
if (folder === undefined) throw new Error('give the folder to write to, such as test/wire/v2')
mkdirSync(folder, { recursive: true })
for (const sample of samples) {
  const packet = packetOf(sample)
  const comment = `wire version ${WIRE_VERSION}, ${sample.name}, ${packet.length} bytes`
  writeFileSync(join(folder, `${sample.name}.hex`), formatHex(comment, packet))
  writeFileSync(join(folder, `${sample.name}.json`), `${JSON.stringify(fieldsOf(packet), null, 2)}\n`)
}

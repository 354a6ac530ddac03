/**
 * Gives the memory of a packet's buffer back at once, where it is certain that nobody looks at it any more: a packet of one's own that
 * comes back, an envelope that has been opened, what a cipher has made and is copied. They may be of tens of kilobytes, and
 * left to the collector each counts against its limits (young-buffers.ts) and costs the processor's caches: the next packet is
 * written to memory that is far away, where it could have been the same that was just read.
 */
import { shownUnder } from './hidden-v8.ts'

/** What is smaller costs more to give back than to leave. */
const WORTH_FREEING = 4096

type Transfer = (this: ArrayBuffer, length: number) => ArrayBuffer

let transfer: Transfer | undefined
let isFound = false

/**
 * Frees what `bytes` is a view of, which must be all of its buffer; every view of it has no bytes any more. Nothing happens to
 * small buffers, to parts of larger ones, and where this V8 cannot do it. Says whether it was done.
 */
export function freeBuffer(bytes: Uint8Array): boolean {
  if (bytes.length < WORTH_FREEING) return false
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== bytes.length) return false
  if (!isFound) {
    isFound = true
    transfer = findTransfer()
  }
  if (transfer === undefined) return false
  try {
    transfer.call(buffer, 0)
    return true
  } catch {
    // (the memory of a WebAssembly module stays where it is)
    return false
  }
}

/** In the language since ES2024; the V8 of Node 20 has it, and hides it. */
function findTransfer(): Transfer | undefined {
  const { transfer } = ArrayBuffer.prototype as { readonly transfer?: Transfer }
  return (
    transfer ??
    (shownUnder('harmony-rab-gsab-transfer', 'ArrayBuffer.prototype.transfer') as Transfer | undefined)
  )
}

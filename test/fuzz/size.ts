/** How much a machine holds on to: everything that can be reached from it, each thing once. */
export interface Size {
  /** Objects, entries of maps and sets, elements of arrays. */
  things: number
  /** Bytes of the buffers behind its byte arrays, whole: a small view keeps all of its buffer alive. */
  bytes: number
}

export function sizeOf(root: object, apartFrom: readonly object[] = []): Size {
  const seen = new Set<object>(apartFrom)
  const stack: unknown[] = [root]
  const size = { things: 0, bytes: 0 }
  const visit = (value: unknown): void => {
    if (typeof value === 'object' && value !== null && !seen.has(value)) stack.push(value)
  }
  while (stack.length > 0) {
    const value = stack.pop() as object
    if (seen.has(value)) continue
    seen.add(value)
    size.things++
    if (value instanceof ArrayBuffer) size.bytes += value.byteLength
    else if (ArrayBuffer.isView(value)) visit(value.buffer)
    else if (value instanceof Map) {
      size.things += value.size
      for (const [key, one] of value) {
        visit(key)
        visit(one)
      }
    } else if (value instanceof Set) {
      size.things += value.size
      for (const one of value) visit(one)
    } else if (Array.isArray(value)) {
      size.things += value.length
      for (const one of value) visit(one)
    } else {
      for (const one of Object.values(value)) visit(one)
    }
  }
  return size
}

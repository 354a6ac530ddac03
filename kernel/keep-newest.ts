/**
 * Puts a value into a map of at most `most` entries, as its newest: beyond that the one that was put in longest ago is
 * forgotten. For what is remembered of strangers, or of so many others that somebody has to be.
 */
export function keepNewest<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  map.delete(key)
  const [oldest] = map.keys()
  if (oldest !== undefined && map.size >= most) map.delete(oldest)
  map.set(key, value)
}

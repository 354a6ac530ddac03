/** Microseconds of the system's monotonic clock, which all processes of this machine share. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

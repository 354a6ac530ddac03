/**
 * Whether the process in this container works: /healthz of its metrics port, asked from inside. Exit status 0 or 1.
 * METRICS_PORT (9400) and AMOEBACAST_HTTP_INTERFACE (127.0.0.1) say where. No token is needed for it.
 */
const { METRICS_PORT = '9400', AMOEBACAST_HTTP_INTERFACE: host = '127.0.0.1' } = process.env
const url = `http://${host.includes(':') ? `[${host}]` : host}:${METRICS_PORT}/healthz`
try {
  const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(2000) })
  if (!ok) throw new Error(`status ${status}`)
} catch (error) {
  console.error(`${url}: ${error.cause?.message ?? error.message}`)
  process.exitCode = 1
}

/** `amoebacast/gateway`: groups over HTTP, for programs in any language. */
export { type Envelope, readEnvelope, writeEnvelope } from './envelope.ts'
export { type FailureBody, GatewayCode } from './errors.ts'
export { Gateway, startGateway } from './gateway.ts'
export { type FirstMessage, KeyWindow, type KeyWindowOptions, keyWindowDefaults } from './key-window.ts'
export type { GatewayLimits, GatewayOptions, HostedGroupOptions } from './options.ts'

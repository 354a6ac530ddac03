/** The package's one public door: ordered group communication. */

export { ErrorCode, GroupError, type Outcome } from '../kernel/errors.ts'
export type { MemberId, RightName, RoleName, Seq } from '../kernel/identity.ts'
export type {
  DeliveryMessage,
  ResetMessage,
  SendMessage,
  TraceMessage,
  ViewMessage,
} from '../kernel/node/diagnostics.ts'
export { type GroupParameters, parameterDefaults, parameterLimits } from '../kernel/parameters.ts'
export type { ReceiveBatchOptions, ReceiveOptions, ResetOptions, SendOptions } from './call-options.ts'
export type { Codec, CodecOption } from './codec.ts'
export { createGroup, joinGroup, joinOrCreateGroup } from './default-kernel.ts'
export type {
  Delivery,
  MembershipDelivery,
  MessageDelivery,
  RejoinDelivery,
  ResetDelivery,
  UndecodableDelivery,
  View,
  ViewMember,
} from './deliveries.ts'
export type { Closed, GroupEventName, GroupEvents, GroupListener } from './events.ts'
export type { Group, GroupInfo } from './group.ts'
export type { GroupReport, Kernel, MemberAbilities } from './kernel.ts'
export { type DetectionTimes, detectionPresets } from './member/options.ts'
export type {
  Applicant,
  Authorize,
  DetectionPreset,
  GroupOptions,
  KernelOptions,
  LogLevel,
} from './options.ts'
export type { Visitor } from './receive-queue.ts'
export { SendManyError } from './send-calls.ts'
export { startKernel } from './start-kernel.ts'

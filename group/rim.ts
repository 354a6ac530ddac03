/**
 * The rim of one kernel: transport, driver, peers, metrics and log put together, and members made over them.
 * The same over UDP and over the test network, which brings its own transport, clock and dice.
 */
import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Registry } from 'prom-client'
import type { Counters } from '../kernel/counters.ts'
import { invalidArgument } from '../kernel/errors.ts'
import type { Address, MemberId, Micros, Nonce } from '../kernel/identity.ts'
import { type Clock, monotonicClock, systemWakeups, type Wakeups } from '../kernel/node/clock.ts'
import { Console } from '../kernel/node/console/console.ts'
import { addConsoleRoutes } from '../kernel/node/console/routes.ts'
import { Driver, type MachineHandle } from '../kernel/node/driver.ts'
import { addHealthRoutes, HttpServer } from '../kernel/node/http.ts'
import { type Log, logReset, logReturn, startLog } from '../kernel/node/log.ts'
import { type Lookup, lookupAt, noLookup, systemLookup } from '../kernel/node/lookup.ts'
import { Metrics } from '../kernel/node/metrics.ts'
import { countPeerFailures } from '../kernel/node/peer-metrics.ts'
import { PeerWatch } from '../kernel/node/peers.ts'
import { randomChallengeKey, randomNonce, randomSeed } from '../kernel/node/random.ts'
import type { Ciphers } from '../kernel/node/secure/ciphers.ts'
import { SEAL_OVERHEAD } from '../kernel/node/secure/envelope.ts'
import { KeyRing } from '../kernel/node/secure/key-ring.ts'
import { countSeals } from '../kernel/node/secure/seal-metrics.ts'
import { SealedTransport } from '../kernel/node/secure/sealed-transport.ts'
import { loadCiphers } from '../kernel/node/secure/sodium.ts'
import { faultTeller, warnWithoutKey } from '../kernel/node/secure/warnings.ts'
import type { Transport } from '../kernel/node/transport.ts'
import { countTransport } from '../kernel/node/transport-metrics.ts'
import { UdpTransport } from '../kernel/node/udp.ts'
import { PACKET_BYTES_MIN } from '../kernel/packet.ts'
import { type GroupParameters, otherParameters, resilienceFor } from '../kernel/parameters.ts'
import type { GroupInspection, Output } from '../kernel/port.ts'
import type { View } from '../kernel/view.ts'
import { askSequencer } from './ask-sequencer.ts'
import { Authorizing } from './authorizing.ts'
import type { MemberSettings, OpenedMember, Rim } from './kernel.ts'
import { KeyChanges } from './key-changes.ts'
import type { Unread } from './key-hints.ts'
import { Inspector } from './member/inspector.ts'
import { Member } from './member/member.ts'
import type { MemberOptions, Secrets } from './member/options.ts'
import type { MemberPort, OutputHandler } from './member-port.ts'
import type { CheckedKernelOptions } from './options.ts'
import type { PeerNames } from './peer-names.ts'

/** What stands in for the system in tests. */
export interface Outside {
  readonly transport: Transport
  readonly clock: Clock
  readonly wakeups: Wakeups
  /** At hand at once: to load some takes real time. */
  readonly ciphers: Ciphers
  nonce(): Nonce
  seed(): number
  /** Missing where nobody outside can send packets: machines roll their own dice then. */
  secrets?(): Secrets
}

type Dice = Pick<Outside, 'nonce' | 'seed' | 'secrets'>

const systemDice: Dice = { nonce: randomNonce, seed: randomSeed, secrets: randomSecrets }

export async function openRim(options: CheckedKernelOptions, outside?: Outside): Promise<Rim> {
  const log = options.logger ?? startLog(options.logLevel)
  const ciphers = await ciphersFor(options, log, outside)
  const open = outside?.transport ?? (await openUdp(options, (message) => log.warn(message)))
  const sealed = sealedOver(open, options, ciphers, log, outside)
  const transport = sealed ?? open
  try {
    const packetSize = checkPacketSize(
      options.packetSize,
      transport,
      sealed === undefined ? 0 : SEAL_OVERHEAD,
    )
    if (sealed === undefined && outside === undefined)
      warnWithoutKey(log, options.interface, options.insecure)
    const driver = new Driver({ transport, clock: outside?.clock, wakeups: outside?.wakeups, log })
    const metrics = new Metrics(options.registry)
    if (sealed !== undefined) metrics.onClose(countSeals(metrics.registry, sealed))
    metrics.onClose(countTransport(metrics.registry, open.stats))
    const http = await openHttp(options)
    const dice = outside ?? systemDice
    const lookup = outside === undefined ? lookupFor(options) : noLookup
    const wakeups = outside?.wakeups ?? systemWakeups
    const own = { packetSize, lookup, log, wakeups, sealed, isReal: outside === undefined }
    const rim = new KernelRim(driver, metrics, http, { ...options, ...own }, dice)
    metrics.addRim(driver.router)
    if (http !== undefined) addHealthRoutes(http, { metrics, members: () => rim.infos() })
    return rim
  } catch (error) {
    await transport.close()
    throw error
  }
}

/** With a key, what goes over the transport is sealed. */
function sealedOver(
  transport: Transport,
  { keys }: CheckedKernelOptions,
  ciphers: Ciphers | undefined,
  log: Log,
  outside: Outside | undefined,
): SealedTransport | undefined {
  if (ciphers === undefined) return undefined
  const clock = outside?.clock ?? monotonicClock()
  return new SealedTransport(transport, { keys, clock, ciphers, onFault: faultTeller(log) })
}

/** Undefined without a key. */
async function ciphersFor(
  { keys }: CheckedKernelOptions,
  log: Log,
  outside: Outside | undefined,
): Promise<Ciphers | undefined> {
  if (keys.length === 0) return undefined
  if (outside !== undefined) return outside.ciphers
  const ciphers = await loadCiphers()
  const { slowBecause } = ciphers
  if (slowBecause !== undefined)
    log.info({ slowBecause }, 'sealing small packets takes longer than it needs to')
  return ciphers
}

function openUdp(options: CheckedKernelOptions, onWarning: (message: string) => void): Promise<UdpTransport> {
  const { transport: mode, udpPort, multicastPort, advertise } = options
  return UdpTransport.open({
    interface: options.interface,
    mode,
    udpPort,
    multicastPort,
    advertise,
    onWarning,
  })
}

function lookupFor({ dnsServers }: CheckedKernelOptions): Lookup {
  return dnsServers.length === 0 ? systemLookup : lookupAt(dnsServers)
}

/** On loopback unless told otherwise, wherever the group's packets go: what it says is for operators. */
async function openHttp({
  metricsPort,
  httpInterface,
  httpToken,
}: CheckedKernelOptions): Promise<HttpServer | undefined> {
  if (metricsPort === undefined) return undefined
  return HttpServer.open({ host: httpInterface, port: metricsPort, token: httpToken })
}

/** What is given counts on the wire, where a seal needs `overhead` bytes of it. */
function checkPacketSize(given: number | undefined, transport: Transport, overhead: number): number {
  if (given === undefined) return transport.packetSizeDefault
  const max = transport.packetSizeMax + overhead
  if (given > max)
    throw invalidArgument('packetSize', given, `at most ${max}, which the socket's buffer allows`)
  const least = PACKET_BYTES_MIN + overhead
  if (given < least) throw invalidArgument('packetSize', given, `at least ${least} with a key`)
  return given - overhead
}

type RimOptions = CheckedKernelOptions & {
  readonly packetSize: number
  readonly lookup: Lookup
  readonly log: Log
  readonly wakeups: Wakeups
  readonly sealed: SealedTransport | undefined
  /** Files and clocks are the system's. */
  readonly isReal: boolean
}

class KernelRim implements Rim {
  readonly address: Address
  readonly registry: Registry
  readonly metricsAddress: string | undefined
  readonly names: PeerNames | undefined
  private readonly driver: Driver
  private readonly metrics: Metrics
  private readonly http: HttpServer | undefined
  private readonly console: Console | undefined
  private readonly options: RimOptions
  private readonly dice: Dice
  private readonly peerWatch: PeerWatch
  private readonly ring: KeyRing
  readonly keys: KeyChanges
  private readonly stopCounting: (() => void) | undefined
  private peers: readonly Address[] = []
  /** BOUNDED by what the program opens. */
  private readonly members = new Map<Member, { handle: MachineHandle; contacts: readonly Address[] }>()
  /** BOUNDED by the inspections that the program asks for. */
  private readonly inspectors = new Set<MachineHandle>()

  constructor(
    driver: Driver,
    metrics: Metrics,
    http: HttpServer | undefined,
    options: RimOptions,
    dice: Dice,
  ) {
    this.driver = driver
    this.metrics = metrics
    this.http = http
    this.options = options
    this.dice = dice
    this.ring = new KeyRing(options.keys)
    this.keys = new KeyChanges({
      ring: this.ring,
      transport: options.sealed,
      // read again and again: wherever the program is by then
      file: options.keyFile === undefined ? undefined : resolve(options.keyFile),
      isWatched: options.isReal,
      log: options.log,
      keysInUse: () => [...this.members.keys()].flatMap((machine) => machine.keysInUse()),
      tell: (keys) => {
        for (const { handle } of this.members.values()) handle.call({ call: 'keys', keys })
        for (const handle of this.inspectors) handle.call({ call: 'keys', keys })
      },
    })
    this.address = driver.transport.address
    this.registry = metrics.registry
    this.metricsAddress = http?.url.replace('http://', '')
    if (http !== undefined) {
      this.console = new Console(this.address)
      addConsoleRoutes(http, this.console)
    }
    this.peerWatch = new PeerWatch(options.peers, (addresses) => this.learnPeers(addresses), {
      family: isIPv6(options.interface) ? 6 : 4,
      defaultPort: options.udpPort === 0 ? undefined : options.udpPort,
      lookup: options.lookup,
      isOwn: (address) => driver.transport.isOwn(address),
      log: options.log,
    })
    // On the test network nobody waits for a name: there is no DNS in virtual time.
    if (this.peerWatch.hasNames && options.lookup !== noLookup) {
      this.names = { watch: this.peerWatch, waitMs: options.dnsWaitMs }
      this.stopCounting = countPeerFailures(metrics.registry, this.peerWatch.failures)
    }
  }

  get unread(): Unread {
    const { plain = 0, key = 0 } = this.options.sealed?.faults ?? {}
    return { sealed: this.driver.router.counters.rejected.sealed, plain, key }
  }

  /** The group's own parameters hold; who has assumed others, and says nothing, would find out in the worst moment. */
  private warnOfOthers({ port, assumed = {} }: MemberSettings, actual: GroupParameters): void {
    const others = otherParameters(assumed, actual)
    if (others.length === 0) return
    const differing = others
      .map((one) => `${one.field} is ${one.actual}, and ${one.assumed} was given`)
      .join('; ')
    this.options.log.warn(
      { group: port },
      `the group was created with other parameters, which count: ${differing}`,
    )
  }

  /** Without the codec's own words, which may quote what was sent. */
  private warnOfCodec(port: string, sender: MemberId, codec: string): void {
    this.options.log.warn(
      { group: port, sender },
      `a body from member ${sender} cannot be decoded with ${codec}, which this member was opened with; ` +
        'all members of a group must use the same codec (this is told once)',
    )
  }

  async openMember(settings: MemberSettings, onOutput: OutputHandler): Promise<OpenedMember> {
    const { driver, members } = this
    const { method } = this.options
    const nonce = this.dice.nonce()
    const options = this.memberOptions(settings, nonce)
    const machine = new Member(options)
    const { counters } = machine
    const handle = await driver.attach(machine, { port: settings.port, nonce })
    const { contacts = [] } = settings
    members.set(machine, { handle, contacts })
    this.catchUpWithKeys(handle, options)
    const group = new GroupFacts()
    const resets = new ResetTimes(counters)
    const source = {
      group: settings.port,
      name: machine.options.name,
      counters,
      info: () => machine.info(),
      historyCapacity: () => group.historyCapacity,
      sequencerBusySeconds: () => handle.sequencerBusySeconds,
    }
    const metrics = this.metrics.addMember(source)
    const inspect = (signal: AbortSignal) => this.inspectFor(machine, settings.port, signal)
    const console = this.console?.addMember({ ...source, nonce, inspect })
    let codecTold = false
    const { authorize } = settings
    const authorizing = authorize && new Authorizing(authorize, handle, this.options.log)
    handle.onOutput((output) => {
      if (output.output === 'authorize') return authorizing?.onOutput(output)
      group.learn(output)
      this.logResets(settings.port, output, resets)
      console?.noteOutput(output)
      if (settings.contacts !== undefined) logReturn(this.options.log, settings.port, output)
      if (output.output === 'joined') this.warnOfOthers(settings, output.parameters)
      onOutput(output)
    })
    // Peers that were found while the machine was attached.
    if (this.peers.length > 0) handle.call({ call: 'peers', addresses: [...this.peers, ...contacts] })
    return {
      port: {
        call: (call) => handle.call(call),
        info: () => machine.info(),
        now: () => driver.now(),
        close: () => {
          handle.detach()
          metrics.remove()
          console?.remove()
          members.delete(machine)
        },
      },
      observer: {
        sendAnswered: (seconds) => {
          metrics.observeSend(method, group.resilience, seconds)
          console?.sendAnswered(seconds)
        },
        undecodable: (sender, codec) => {
          if (!codecTold) this.warnOfCodec(settings.port, sender, codec)
          codecTold = true
        },
      },
    }
  }

  async openInspector(
    port: string,
    onOutput: OutputHandler,
    contacts: readonly Address[] = [],
  ): Promise<Pick<MemberPort, 'call' | 'close'>> {
    const nonce = this.dice.nonce()
    const settings = { port, name: undefined, role: 'observer', contacts } as const
    const options = this.memberOptions(settings, nonce)
    const handle = await this.driver.attach(new Inspector(options), { port, nonce })
    this.inspectors.add(handle)
    this.catchUpWithKeys(handle, options)
    handle.onOutput(onOutput)
    return {
      call: (call) => handle.call(call),
      close: () => {
        handle.detach()
        this.inspectors.delete(handle)
      },
    }
  }

  /** Keys that came while the machine was attached. */
  private catchUpWithKeys(handle: MachineHandle, { keys }: Pick<MemberOptions, 'keys'>): void {
    const { ids } = this.ring
    if (ids.join() !== keys?.join()) handle.call({ call: 'keys', keys: ids })
  }

  /** For the console of a member that is not its group's sequencer. */
  private inspectFor(machine: Member, port: string, signal: AbortSignal): Promise<GroupInspection> {
    const { view } = machine.info()
    const contacts = view?.members.filter(({ id }) => id === view.sequencer).map(({ address }) => address)
    return askSequencer((...asked) => this.openInspector(...asked), port, contacts ?? [], signal)
  }

  after(micros: Micros, callback: () => void): () => void {
    return this.options.wakeups.after(micros, callback)
  }

  *infos(): Iterable<ReturnType<Member['info']>> {
    for (const machine of this.members.keys()) yield machine.info()
  }

  async close(): Promise<void> {
    this.peerWatch.close()
    this.keys.close()
    this.stopCounting?.()
    await this.driver.flush()
    await this.driver.close()
    this.console?.close()
    await this.http?.close()
    this.metrics.close()
  }

  private memberOptions(
    { name, role, token, authorize, contacts = [] }: MemberSettings,
    nonce: Nonce,
  ): MemberOptions {
    const { transport } = this.driver
    const { detection, packetSize, method, methodThreshold } = this.options
    return {
      nonce,
      seed: this.dice.seed(),
      secrets: this.dice.secrets?.(),
      address: this.address,
      name: name ?? this.options.name ?? `${hostname()}-${process.pid}`,
      role,
      credentials: this.ring.credentials,
      keys: this.ring.ids,
      token,
      asksProgram: authorize !== undefined,
      transport: transport.mode,
      peers: [...this.peers, ...contacts],
      packetSize,
      window: transport.window,
      // Several senders share the sequencer's socket; a few packets may always be on their way.
      sendWindow: Math.max(4 * packetSize, Math.floor(transport.window / 4)),
      method,
      methodThreshold,
      detection,
    }
  }

  private logResets(group: string, output: Output, resets: ResetTimes): void {
    if (output.output !== 'deliveries') return
    for (const event of output.deliveries) {
      if (event.kind === 'reset') logReset(this.options.log, group, event, resets.next())
    }
  }

  private learnPeers(addresses: readonly Address[]): void {
    this.peers = addresses
    for (const { handle, contacts } of this.members.values()) {
      handle.call({ call: 'peers', addresses: [...addresses, ...contacts] })
    }
  }
}

/** How long each reset took, by what the machine counts. */
class ResetTimes {
  private readonly counters: Counters
  private told: Micros = 0

  constructor(counters: Counters) {
    this.counters = counters
  }

  /** The time of the reset that has just been put out. */
  next(): Micros {
    const { resetMicros } = this.counters
    const micros = resetMicros - this.told
    this.told = resetMicros
    return micros
  }
}

/** What the metrics of a member need to know of its group, learnt from the outputs that pass. */
/** Strangers may look for what they can guess: the public group id must tell nothing of the key beside it. */
function randomSecrets(): Secrets {
  return { groupId: randomNonce(), challengeKey: randomChallengeKey() }
}

class GroupFacts {
  parameters: GroupParameters | undefined
  /** Acks of others that a message needs in the present view. */
  resilience = 0

  get historyCapacity(): { readonly messages: number; readonly bytes: number } | undefined {
    const { parameters } = this
    return parameters && { messages: parameters.historySize, bytes: parameters.historyBytes }
  }

  learn(output: Output): void {
    if (output.output === 'joined') {
      this.parameters = output.parameters
      this.learnView(output.view)
    } else if (output.output === 'deliveries') {
      for (const event of output.deliveries) if (event.kind !== 'messages') this.learnView(event.view)
    }
  }

  private learnView(view: View): void {
    if (this.parameters !== undefined) this.resilience = resilienceFor(this.parameters, view.members.length)
  }
}

/** The manifests: right by Kubernetes' own types, and in agreement with each other and with the command line. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { nodeCommand } from '../../cli/node-command.ts'
import { checkOptions, refuseUnknownOptions } from '../../cli/options.ts'
import { repositoryRoot } from '../support/files.ts'
import { budget, container, manifests, policy, service, statefulSet, typeErrors } from './manifests.ts'
import { run, whyMissing } from './tools.ts'

const replicas = statefulSet.spec!.replicas!
const majority = Math.floor(replicas / 2) + 1
const { template } = statefulSet.spec!
const pod = template.spec!
const labels = { 'app.kubernetes.io/name': 'amoebacast' }

/** `--name=value` and `--name` as the command line gets them. */
const args = Object.fromEntries(
  (container.args ?? []).slice(1).map((arg): [string, string | boolean] => {
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/.exec(arg) ?? []
    if (name === undefined) throw new Error(`not an option: ${arg}`)
    return [name, value ?? true]
  }),
)

describe('the manifests', () => {
  test("are right by Kubernetes' types", async () => {
    expect(manifests.map(({ value }) => value.kind)).toEqual([
      'PodDisruptionBudget',
      'Kustomization',
      'NetworkPolicy',
      'ServiceMonitor',
      'Service',
      'StatefulSet',
    ])
    expect(await typeErrors(manifests.map(({ value }) => value))).toEqual([])
  })

  test('would not pass with a misspelt field, a missing one or a wrong type', async () => {
    const misspelt = structuredClone(service) as { spec: object }
    Object.assign(misspelt.spec, { publishNotReadyAdresses: true })
    const missing = structuredClone(statefulSet) as { spec: { selector?: object } }
    delete missing.spec.selector
    const wrong = structuredClone(statefulSet) as { spec: { replicas: unknown } }
    wrong.spec.replicas = '3'
    const unknown = { ...service, kind: 'Servise' }
    const values = [misspelt, missing, wrong, unknown] as unknown as Parameters<typeof typeErrors>[0]
    const errors = await typeErrors(values)
    for (const [i, about] of ['publishNotReadyAdresses', "'selector'", "'string'", "'never'"].entries()) {
      expect(errors[i]).toContain(about)
    }
    expect(errors).toHaveLength(4)
  })

  test('are put together by kustomize', async (context) => {
    const why = whyMissing(['kubectl'], 'kubernetes-client')
    if (why !== undefined) {
      console.warn(`skipped: ${why}`)
      return context.skip(why)
    }
    const { status, output } = await run('kubectl', ['kustomize', `${repositoryRoot}deploy/kubernetes`])
    expect(status).toBe(0)
    for (const kind of ['Service', 'StatefulSet', 'PodDisruptionBudget', 'NetworkPolicy']) {
      expect(output).toContain(`kind: ${kind}\n`)
    }
    const { version } = parse(readFileSync(`${repositoryRoot}package.json`, 'utf8')) as { version: string }
    expect(output).toContain(`image: amoebacast:${version}\n`)
  })

  test('select the same pods', () => {
    expect(template.metadata?.labels).toEqual(labels)
    expect(statefulSet.spec!.selector.matchLabels).toEqual(labels)
    expect(service.spec!.selector).toEqual(labels)
    expect(budget.spec!.selector!.matchLabels).toEqual(labels)
    expect(policy.spec!.podSelector?.matchLabels).toEqual(labels)
    expect(statefulSet.spec!.serviceName).toBe(service.metadata!.name)
  })

  test('let pods find each other before they are ready, by the name among the peers', () => {
    expect(service.spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true })
    const port = service.spec!.ports!.find(({ name }) => name === 'group')!
    expect(args.peers).toBe(`${service.metadata!.name}:${port.port}`)
    expect(args['udp-port']).toBe(String(port.port))
    expect(args).toMatchObject({ transport: 'unicast', advertise: '$(POD_IP)', interface: '$(POD_IP)' })
    expect(statefulSet.spec!.podManagementPolicy).toBe('Parallel')
  })

  test('name the ports that the process opens', () => {
    const ports = Object.fromEntries(
      container.ports!.map(({ name, containerPort, protocol }) => [name, [containerPort, protocol]]),
    )
    expect(ports).toEqual({
      group: [Number(args['udp-port']), 'UDP'],
      metrics: [Number(args['metrics-port']), 'TCP'],
    })
    for (const { name, targetPort } of service.spec!.ports!) expect(targetPort).toBe(name)
    expect(template.metadata?.annotations?.['prometheus.io/port']).toBe(args['metrics-port'])
  })

  test('never let two groups be created, and keep a majority', () => {
    expect(replicas).toBeGreaterThanOrEqual(3)
    expect(Number(args['min-starters'])).toBe(majority)
    expect(replicas - Number(budget.spec!.maxUnavailable)).toBeGreaterThanOrEqual(majority)
    expect(Number(args.resilience)).toBeLessThan(majority)
  })

  test('ask for life and readiness at the right places', () => {
    expect(container.livenessProbe?.httpGet).toEqual({ path: '/healthz', port: 'metrics' })
    expect(container.readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 'metrics' })
    // Killed later than it is taken out of the service, and never because of the group's state.
    const patience = (probe: typeof container.livenessProbe) =>
      probe!.periodSeconds! * probe!.failureThreshold!
    expect(patience(container.livenessProbe)).toBeGreaterThan(patience(container.readinessProbe))
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(10)
  })

  test('give the process as little as it needs', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(pod.securityContext!.runAsUser).toBeGreaterThan(0)
    expect(pod.automountServiceAccountToken).toBe(false)
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(container.resources?.requests).toMatchObject({ cpu: expect.anything(), memory: expect.anything() })
    expect(container.resources?.limits).toEqual({ memory: expect.anything() })
  })

  test('start the command with options that it knows', () => {
    expect(container.args![0]).toBe('node')
    refuseUnknownOptions(nodeCommand.options, container.args!.slice(1))
    const values = checkOptions(nodeCommand.options, args, {})
    expect(values.text('group')).toBe('orders')
    expect(values.flag('stay') && values.flag('rejoin')).toBe(true)
    const variables = container.args!.flatMap((arg) =>
      [...arg.matchAll(/\$\((\w+)\)/g)].map(([, name]) => name),
    )
    expect(new Set(variables)).toEqual(new Set(container.env!.map(({ name }) => name)))
  })

  test('hand the token over as a file of a secret', () => {
    const mount = container.volumeMounts!.find(({ name }) => name === 'secrets')!
    const volume = pod.volumes!.find(({ name }) => name === 'secrets')!
    expect(args['http-token-file']).toBe(`${mount.mountPath}/http-token`)
    expect(mount.readOnly).toBe(true)
    expect(volume.secret).toEqual({ secretName: 'amoebacast', defaultMode: 0o440 })
    const monitor = manifests.find(({ value }) => value.kind === 'ServiceMonitor')!.value as unknown as {
      spec: { endpoints: readonly { authorization: { credentials: object } }[] }
    }
    expect(monitor.spec.endpoints[0]!.authorization.credentials).toEqual({
      name: 'amoebacast',
      key: 'http-token',
    })
  })
})

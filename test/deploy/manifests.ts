/** The manifests of deploy/kubernetes, read, and held against Kubernetes' own types by the compiler. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { Service } from 'kubernetes-types/core/v1.d.ts'
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts'
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.d.ts'
import { parseAllDocuments } from 'yaml'
import { repositoryRoot } from '../support/files.ts'
import { run } from './tools.ts'

export interface Manifest {
  readonly file: string
  readonly value: {
    readonly apiVersion: string
    readonly kind: string
    readonly metadata: { readonly name: string }
  }
}

/** Where the types of each kind are, in the package kubernetes-types (made from Kubernetes' OpenAPI document). */
const typesOf: Readonly<Record<string, string>> = {
  'v1 Service': 'core/v1',
  'apps/v1 StatefulSet': 'apps/v1',
  'policy/v1 PodDisruptionBudget': 'policy/v1',
  'networking.k8s.io/v1 NetworkPolicy': 'networking/v1',
}

/** Of other systems than Kubernetes itself: their types are not in the package. */
const foreign = ['kustomize.config.k8s.io/v1beta1 Kustomization', 'monitoring.coreos.com/v1 ServiceMonitor']

const folder = `${repositoryRoot}deploy/kubernetes`

export const manifests: readonly Manifest[] = readdirSync(folder)
  .filter((file) => file.endsWith('.yml'))
  .sort()
  .flatMap((file) => {
    const documents = parseAllDocuments(readFileSync(`${folder}/${file}`, 'utf8'), { strict: true })
    return documents.map((document) => {
      if (document.errors.length > 0) throw document.errors[0]
      return { file, value: document.toJS() as Manifest['value'] }
    })
  })

function only<T>(kind: string): T {
  const found = manifests.filter(({ value }) => value.kind === kind)
  if (found.length !== 1) throw new Error(`${found.length} manifests of kind ${kind}`)
  return found[0]!.value as T
}

export const service = only<Service>('Service')
export const statefulSet = only<StatefulSet>('StatefulSet')
export const budget = only<PodDisruptionBudget>('PodDisruptionBudget')
export const policy = only<NetworkPolicy>('NetworkPolicy')

export const container = statefulSet.spec!.template.spec!.containers[0]!

/**
 * What the compiler has against manifests as values of their types: fields that do not exist, that are missing, or
 * that are of another type. Empty if nothing.
 */
export async function typeErrors(values: readonly Manifest['value'][]): Promise<readonly string[]> {
  const lines = values.flatMap((value, i) => {
    const kind = `${value.apiVersion} ${value.kind}`
    if (foreign.includes(kind)) return []
    const types = typesOf[kind]
    if (types === undefined) return [`export const unknown${i}: never = ${JSON.stringify(kind)}`]
    return [
      `import type { ${value.kind} as Kind${i} } from 'kubernetes-types/${types}.d.ts'`,
      `export const manifest${i}: Kind${i} = ${JSON.stringify(value, undefined, 2)}`,
    ]
  })
  const work = mkdtempSync(join(tmpdir(), 'amoebacast-manifests-'))
  try {
    symlinkSync(`${repositoryRoot}node_modules`, join(work, 'node_modules'))
    writeFileSync(join(work, 'manifests.ts'), lines.join('\n'))
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      module: 'nodenext',
      allowImportingTsExtensions: true,
    }
    writeFileSync(join(work, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['manifests.ts'] }))
    const tsc = `${repositoryRoot}node_modules/typescript/bin/tsc`
    const { status, output } = await run(process.execPath, [tsc, '-p', work, '--pretty', 'false'])
    const errors = output.split('\n').filter((line) => line.includes('error TS'))
    if (status !== 0 && errors.length === 0)
      throw new Error(`the compiler ended with status ${status}: ${output}`)
    return errors
  } finally {
    rmSync(work, { recursive: true })
  }
}

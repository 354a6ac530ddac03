/** Which folder may import what (design section 2), as a table, and a reader of import statements. */

export interface Layer {
  readonly name: string
  /** Whether a file of the repository, by its path, belongs to the layer. */
  has(path: string): boolean
  /** Names of the layers that it may import, beside itself. */
  readonly imports: readonly string[]
  /** Packages and node: modules: none, any, or these. */
  readonly packages: 'none' | 'any' | readonly string[]
}

const below = (folder: string) => (path: string) => path.startsWith(`${folder}/`)

/** Deeper folders first: the first layer that has a file is its layer. */
export const layers: readonly Layer[] = [
  {
    name: 'kernel/node',
    has: below('kernel/node'),
    imports: ['kernel'],
    packages: ['node:', 'prom-client', 'pino', 'libsodium-wrappers'],
  },
  { name: 'kernel', has: below('kernel'), imports: [], packages: 'none' },
  { name: 'sequencer', has: below('sequencer'), imports: ['kernel'], packages: 'none' },
  { name: 'recovery', has: below('recovery'), imports: ['kernel'], packages: 'none' },
  {
    name: 'group/member',
    has: below('group/member'),
    imports: ['kernel', 'sequencer', 'recovery'],
    packages: 'none',
  },
  {
    name: 'group',
    has: below('group'),
    imports: ['group/member', 'sequencer', 'recovery', 'kernel/node', 'kernel'],
    packages: ['node:', 'msgpackr', 'prom-client', 'pino'],
  },
  {
    name: 'cli',
    has: below('cli'),
    imports: ['group', 'kernel/node', 'kernel'],
    packages: [
      'node:',
      'yargs',
      'log-update',
      'cli-progress',
      'string-width',
      'fastify',
      'ws',
      'prom-client',
      'pino',
    ],
  },
  {
    name: 'bench',
    has: below('bench'),
    imports: ['cli', 'group', 'group/member', 'sequencer', 'recovery', 'kernel/node', 'kernel', 'test'],
    packages: 'any',
  },
  {
    name: 'test',
    has: below('test'),
    imports: ['bench', 'cli', 'group', 'group/member', 'sequencer', 'recovery', 'kernel/node', 'kernel'],
    packages: 'any',
  },
]

/** What is wrong with the imports of one file; empty if nothing is. */
export function wrongImports(path: string, source: string): string[] {
  const layer = layers.find((one) => one.has(path))
  if (layer === undefined) return []
  return importsOf(source).flatMap((specifier) => {
    if (!specifier.startsWith('.')) {
      const { packages } = layer
      const isAllowed =
        packages === 'any' || (packages !== 'none' && packages.some((name) => isPackage(specifier, name)))
      return isAllowed ? [] : [`${path} imports ${specifier}; ${layer.name} may not`]
    }
    const target = resolvePath(path, specifier)
    const other = layers.find((one) => one.has(target))
    if (other === layer || (other !== undefined && layer.imports.includes(other.name))) return []
    return [`${path} imports ${target}; ${layer.name} may not import ${other?.name ?? 'from there'}`]
  })
}

/** The specifiers of static, re-exporting and dynamic imports. */
export function importsOf(source: string): string[] {
  const found = source.matchAll(
    /(?:^|[\s;}])(?:import|export)\s+(?:type\s+)?(?:[\w$*{}\s,]+?\sfrom\s*)?['"]([^'"]+)['"]|\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g,
  )
  return [...found].map((match) => match[1] ?? match[2]!)
}

function isPackage(specifier: string, name: string): boolean {
  return name.endsWith(':')
    ? specifier.startsWith(name)
    : specifier === name || specifier.startsWith(`${name}/`)
}

function resolvePath(from: string, specifier: string): string {
  return decodeURIComponent(new URL(specifier, `file:///${from}`).pathname.slice(1))
}

/**
 * Reads the mesh document: bytes → YAML → schema → presets → service specs, then everything that refers to
 * something else. All problems are found in one go, each with its line and column; a document with any
 * problem yields no spec at all. Nothing here touches the disk.
 */
import { createHash } from 'node:crypto'
import type { AnyPreset, MeshDocument, PresetRegister } from '../schemas/mesh.ts'
import { DEFAULT_PRESET, meshDocument } from '../schemas/mesh.ts'
import { commonFields, type ServiceSpec, serviceSpec } from '../schemas/service.ts'
import type { AlertPolicy, Importance } from './core/incident.ts'
import { LOG_DEFAULTS, type LogsPolicy } from './core/log-policy.ts'
import type { Group } from './core/state.ts'
import { MAX_DOCUMENT_BYTES } from './document/file.ts'
import { type Finding, findings, type Path, type Problem } from './document/problem.ts'
import {
  checkCycles,
  checkDoubts,
  checkNames,
  checkOrder,
  checkPorts,
  expandNeeds,
  groupSpecs,
} from './document/references.ts'
import { decode, parseSource, type Source } from './document/source.ts'

/** A supervisor on one machine; bounds the work that needs between groups can cause. */
const MAX_SERVICES = 1000

/** A valid document, ready for the core. */
export type MeshConfig = {
  readonly specs: readonly ServiceSpec[]
  readonly groups: readonly Group[]
  readonly host: MeshDocument['host']
  readonly metrics: MeshDocument['metrics']
  readonly alerts: MeshDocument['alerts']
  readonly deadman: MeshDocument['deadman']
  readonly defaults: MeshDocument['defaults']
  readonly logs: LogsPolicy
  readonly alerting: AlertPolicy
  /** SHA-256 of the document's bytes, hexadecimal. */
  readonly hash: string
  /** Doubts that do not make the document invalid. */
  readonly warnings: readonly Problem[]
}

/** What parsing found: a mesh, or all problems sorted by line. The hash is of the bytes in both cases. */
export type MeshResult =
  | { readonly ok: true; readonly mesh: MeshConfig }
  | { readonly ok: false; readonly hash: string; readonly problems: readonly Problem[] }

/** `home` is the user's home, which a leading `~/` stands for and which presets get to know. */
export type MeshOptions = { readonly home: string; readonly presets: PresetRegister }

/** Parses and checks a document. Pure; any text and any bytes give a result, never an exception. */
export function parseMesh(document: Uint8Array | string, options: MeshOptions): MeshResult {
  const bytes = typeof document === 'string' ? Buffer.from(document) : document
  const hash = createHash('sha256').update(bytes).digest('hex')
  const refused = (problems: readonly Problem[]): MeshResult => ({
    ok: false,
    hash,
    problems: sorted(problems),
  })
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    return refused([{ line: 1, column: 1, path: '', message: 'is larger than 1 MiB' }])
  }
  const decoded = decode(bytes)
  if ('problem' in decoded) return refused([decoded.problem])
  const parsed = parseSource(decoded.text)
  if (!parsed.ok) return refused(parsed.problems)
  const { source } = parsed
  const schema = meshDocument(options.presets)
  const wrong = findings(schema, source.data, [])
  if (wrong.length > 0) return refused(withDefaultPreset(wrong, source, options.presets).map(source.locate))
  const checked = checkMesh(schema.parse(source.data), source.data as Raw, options)
  if (checked.problems.length > 0) return refused(checked.problems.map(source.locate))
  const { specs, mesh } = checked
  return {
    ok: true,
    mesh: {
      specs,
      groups: groupSpecs(specs, mesh.groups),
      host: mesh.host,
      metrics: mesh.metrics,
      alerts: mesh.alerts,
      deadman: mesh.deadman,
      defaults: mesh.defaults,
      logs: logsPolicy(mesh),
      alerting: alertPolicy(mesh, options.presets),
      hash,
      warnings: sorted(checkDoubts(specs, mesh).map(source.locate)),
    },
  }
}

type Raw = { readonly services?: Readonly<Record<string, Readonly<Record<string, unknown>>>> }

function checkMesh(mesh: MeshDocument, raw: Raw, options: MeshOptions) {
  const names = Object.keys(mesh.services)
  if (names.length > MAX_SERVICES || Object.keys(mesh.groups).length > MAX_SERVICES) {
    const message = `has more than ${MAX_SERVICES} services or groups`
    return { specs: [], mesh, problems: [{ path: ['services'], at: 'key', message } satisfies Finding] }
  }
  const problems: Finding[] = []
  const specs: ServiceSpec[] = []
  for (const name of names) {
    const made = makeSpec(name, mesh, raw.services?.[name] ?? {}, options)
    if ('spec' in made) specs.push(made.spec)
    else problems.push(...made.problems)
  }
  // Names of services whose spec failed would look unknown, so references wait until every spec is made.
  if (problems.length > 0) return { specs, mesh, problems }
  problems.push(...checkNames(specs, mesh.groups))
  if (problems.length === 0) problems.push(...checkOrder(specs, mesh.groups))
  const expanded = expandNeeds(specs, mesh.groups)
  problems.push(...checkCycles(expanded), ...checkPorts(specs, mesh.metrics))
  return { specs: expanded, mesh, problems }
}

/** One service: its preset's spec with the common fields of the document over it. */
function makeSpec(
  name: string,
  mesh: MeshDocument,
  raw: Readonly<Record<string, unknown>>,
  options: MeshOptions,
): { readonly spec: ServiceSpec } | { readonly problems: readonly Finding[] } {
  const entry = mesh.services[name] ?? {}
  const preset = options.presets[entry.preset ?? DEFAULT_PRESET] as AnyPreset
  const base: Path = ['services', name]
  const isSetting = (key: string) => Object.hasOwn(preset.settings, key)
  const settings = Object.fromEntries(Object.entries(entry).filter(([key]) => isSetting(key)))
  // The spec's own schema parses durations, so it gets the common fields as they were written.
  const common = Object.fromEntries(
    Object.entries(raw).filter(([key]) => isSpecField(key) && !isSetting(key)),
  )
  let made: ReturnType<AnyPreset['spec']>
  try {
    made = preset.spec(settings as never, { name, home: options.home })
  } catch (error) {
    // A preset refuses settings that are valid one by one and contradict each other.
    const message = error instanceof Error ? error.message : String(error)
    return { problems: [{ path: base, at: 'key', message }] }
  }
  const timezone = mesh.defaults.timezone === undefined ? {} : { TZ: mesh.defaults.timezone }
  const input = {
    ...made,
    ...common,
    name,
    preset: preset.id,
    env: { ...timezone, ...mesh.defaults.env, ...made.env, ...(common['env'] as object | undefined) },
    probes: [...(made.probes ?? []), ...((common['probes'] as unknown[] | undefined) ?? [])],
  }
  const wrong = findings(serviceSpec, input, base)
  if (wrong.length > 0) return { problems: wrong }
  return { spec: atHome(serviceSpec.parse(input), options.home) }
}

/** How log files are kept and who is told is no part of a spec, so that changing it restarts nothing. */
const isSpecField = (key: string) =>
  Object.hasOwn(commonFields, key) && key !== 'logs' && key !== 'importance'

/** When whose failure makes a sound: the service's own word over that of its preset. */
function alertPolicy({ services, defaults }: MeshDocument, presets: PresetRegister): AlertPolicy {
  const importance = Object.entries(services).map(([name, entry]) => {
    const own = entry['importance'] as Importance | undefined
    return [name, own ?? presets[entry.preset ?? DEFAULT_PRESET]?.importance ?? 'normal'] as const
  })
  return { timezone: defaults.timezone ?? null, importance: Object.fromEntries(importance) }
}

/** How each log is kept: the service's own settings over the defaults of the document, and those over ours. */
function logsPolicy(mesh: MeshDocument): LogsPolicy {
  const { total = LOG_DEFAULTS.total, ...common } = mesh.defaults.logs
  const defaults = { ...LOG_DEFAULTS.defaults, ...written(common) }
  const own = Object.entries(mesh.services).flatMap(([name, { logs }]) =>
    logs ? [[name, { ...defaults, ...written(logs) }] as const] : [],
  )
  return { defaults, services: Object.fromEntries(own), total }
}

const written = (settings: object) =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))

/** The settings of probes that hold a path or an argv. */
const PATH_KEYS: ReadonlySet<string> = new Set(['path', 'file', 'folder', 'cwd', 'command', 'version'])

/** Expands a leading `~/` in argv, in the working folder and in the paths of probes; nothing else. */
function atHome(spec: ServiceSpec, home: string): ServiceSpec {
  const expand = (text: string) => (text.startsWith('~/') ? `${home}/${text.slice(2)}` : text)
  const deep = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return PATH_KEYS.has(key) ? expand(value) : value
    if (Array.isArray(value)) return value.map((item) => deep(item, key))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, deep(inner, name)]))
  }
  return {
    ...spec,
    command: spec.command?.map(expand) ?? null,
    cwd: spec.cwd === null ? null : expand(spec.cwd),
    probes: deep(spec.probes, '') as ServiceSpec['probes'],
  }
}

/** A service that says neither what it is nor what to run is told both ways to say it. */
function withDefaultPreset(wrong: readonly Finding[], source: Source, presets: PresetRegister): Finding[] {
  const services = (source.data as Raw | null)?.services
  return wrong.map((finding) => {
    const [top, name, key] = finding.path
    if (top !== 'services' || key !== 'command' || typeof name !== 'string' || finding.path.length > 3)
      return finding
    const entry = services?.[name]
    if (entry === undefined || Object.hasOwn(entry, 'preset') || Object.hasOwn(entry, 'command'))
      return finding
    const message = `needs a \`command\`, or a \`preset\` (one of ${Object.keys(presets).join(', ')})`
    return { path: ['services', name], at: 'key', message }
  })
}

const sorted = (problems: readonly Problem[]): Problem[] =>
  problems.toSorted((a, b) => a.line - b.line || a.column - b.column)

/** What the control API does, in terms of the supervisor, its document and its journal. */
import type { ServiceSpec } from '../schemas/service.ts'
import type { Plan, Status } from '../schemas/status.ts'
import { openAlertDesk } from './alert-desk.ts'
import type { Fact } from './core/event.ts'
import { membersOf } from './core/order.ts'
import { type Declared, planOf, readDeclared } from './declared.ts'
import type { DocumentWatch } from './document-watch.ts'
import { PaiosError, unknownService } from './errors.ts'
import type { Control, MetricsEndpoint } from './shell/api.ts'
import type { Home } from './shell/home.ts'
import type { Journal } from './shell/journal.ts'
import type { Supervisor } from './shell/supervisor.ts'
import { VERSION } from './version.ts'

type Serving = {
  readonly home: Home
  readonly journal: Journal
  readonly supervisor: Supervisor
  readonly finished: Promise<number>
  /** What the supervisor has lost of what it is found by, in words. */
  readonly lost: () => string[]
  readonly redact: (text: string) => string
}

/** What stands around the API. `startedWall`: Unix milliseconds. */
type Around = {
  readonly documents: DocumentWatch
  readonly endpoint: MetricsEndpoint
  readonly startedWall: number
}

type DeclaredFact = Extract<Fact, { kind: 'declared' }>

/** The document as a fact for the core. */
export const declaredFact = (
  { specs, groups }: Declared,
  retry = false,
  preflight: DeclaredFact['preflight'] = {},
): DeclaredFact => ({ kind: 'declared', specs, groups, retry, preflight })

/** What the API offers, in terms of the supervisor. */
export function createControl(
  serving: Serving,
  around: Around,
  metrics: Control['metrics'],
): Omit<Control, 'repairs'> {
  const { home, journal, supervisor, finished } = serving
  const show = (): Status => ({
    version: VERSION,
    pid: process.pid,
    home: home.root,
    startedAt: new Date(around.startedWall).toISOString(),
    mesh: supervisor.mesh.wanted,
    keeper: keeperState(),
    metrics: around.endpoint.url(),
    document: around.documents.state(),
    warnings: [
      around.endpoint.problem(),
      journal.problem(),
      ...supervisor.alerts.problems(),
      ...supervisor.limits.problems(),
      ...serving.lost(),
      maintenanceText(supervisor),
    ].filter((warning) => warning !== null),
    alerts: supervisor.alerts.summary(),
    services: supervisor.services(),
  })
  const known = (name: string): string => {
    const { mesh } = supervisor
    if (membersOf(mesh, name).length > 0) return name
    throw unknownService(name, [...mesh.children.keys(), ...mesh.groups.keys()])
  }
  // What runs is not stopped while its next start would not be recorded, and so would not happen.
  const needJournal = (consequence: string): void => {
    journal.recheck()
    const problem = journal.problem()
    if (problem !== null) throw new PaiosError('refused', `${consequence}: ${problem}`)
  }
  return {
    status: show,
    version: () => ({ version: VERSION, pid: process.pid }),
    events: (query) => journal.events(query),
    why: (id) => journal.why(id),
    async up({ dryRun, retry }): Promise<{ plan: Plan; warnings: string[] }> {
      const fresh = await readDeclared(home)
      const { restart } = planOf(supervisor.mesh, fresh.specs, retry)
      const changed = fresh.specs.filter(({ spec }) => restart.includes(spec.name))
      const found = await preflightAll(supervisor, changed)
      const plan = planOf(supervisor.mesh, fresh.specs, retry, found)
      if (dryRun) return { plan, warnings: fresh.warnings }
      needJournal('nothing is applied')
      supervisor.post(declaredFact(fresh, retry, found))
      around.documents.apply(fresh)
      journal.keepDocument(fresh.key, JSON.stringify(fresh.mesh))
      await around.endpoint.apply(fresh.mesh.metrics)
      supervisor.alerts.apply(fresh.mesh)
      supervisor.alerting.apply(fresh.mesh.alerting)
      supervisor.keeping.apply(fresh.mesh.logs)
      return { plan, warnings: fresh.warnings }
    },
    async down() {
      await supervisor.ask({ kind: 'down' })
      await finished
      const unknown = supervisor.services().filter(({ state }) => state === 'unknown')
      return unknown.map(({ name, reason }) => `${name}: ${reason}`)
    },
    start: async (name) => supervisor.ask({ kind: 'start', name: known(name) }),
    stop: async (name, options) => supervisor.ask({ kind: 'stop', name: known(name), ...options }),
    async restart(name, { now }) {
      const names = membersOf(supervisor.mesh, known(name))
      needJournal(`${name} is not restarted`)
      const preflight = await preflightAll(
        supervisor,
        names.flatMap((member) => supervisor.mesh.children.get(member) ?? []),
      )
      return supervisor.ask({ kind: 'restart', name, now, preflight })
    },
    async probe(name) {
      if (!supervisor.mesh.children.has(name))
        throw unknownService(name, [...supervisor.mesh.children.keys()])
      return supervisor.report(name)
    },
    async preflight(name, pids) {
      known(name)
      const { withObserve } = await import('./document/edit.ts')
      const isObserved = supervisor.mesh.children.get(name)?.spec.kind === 'external'
      const edit = (text: string) => (isObserved ? withObserve(text, name, false) : text)
      const declared = (await readDeclared(home, edit)).specs.find(({ spec }) => spec.name === name)
      return declared === undefined ? [] : supervisor.preflight(declared.spec, pids)
    },
    acceptBaseline(name) {
      const child = supervisor.mesh.children.get(name)
      if (!child) throw unknownService(name, [...supervisor.mesh.children.keys()])
      return supervisor.accept(name, child.spec)
    },
    testAlerts: () => supervisor.alerts.test(),
    metrics,
    alerts: openAlertDesk(home, supervisor, serving.redact),
  }
}

function maintenanceText({ alerting }: Supervisor): string | null {
  const { maintenance } = alerting.standing()
  if (maintenance === null) return null
  const until = new Date(maintenance.untilWall).toTimeString().slice(0, 5)
  return `maintenance until ${until} by ${maintenance.by}: messages are held   paios maintenance off`
}

/** Looks whether these declarations could start now, by the name of their service. */
async function preflightAll(
  supervisor: Supervisor,
  declared: readonly { readonly spec: ServiceSpec }[],
): Promise<DeclaredFact['preflight']> {
  const found = declared.map(async ({ spec }) => [spec.name, await supervisor.preflight(spec)] as const)
  return Object.fromEntries(await Promise.all(found))
}

/** Whether the keeper that started this supervisor still is its parent. */
export function keeperState(): Status['keeper'] {
  const keeper = Number(process.env['PAIOS_KEEPER'])
  if (!keeper) return 'none'
  return process.ppid === keeper ? 'running' : 'gone'
}

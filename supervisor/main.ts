/** The composition root: the only place that builds the real ports. */
import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import type { Status } from '../schemas/status.ts'
import { createControl, declaredFact, keeperState } from './control.ts'
import type { Finding } from './core/alert.ts'
import { type Declared, loadDeclared } from './declared.ts'
import { checkByProgram, type DocumentWatch, openDocumentWatch } from './document-watch.ts'
import { PaiosError } from './errors.ts'
import { type ControlSocket, isServed } from './shell/control-socket.ts'
import { ensureHome, type Home, homeAt } from './shell/home.ts'
import { type Journal, openJournal } from './shell/journal.ts'
import { recordKeeper, startKeeper } from './shell/keeper.ts'
import { alreadyRuns, takeLock } from './shell/lock.ts'
import { createLogger, type Logger } from './shell/logger.ts'
import { type Presence, watchPresence } from './shell/presence.ts'
import { endProbePrograms } from './shell/probe-programs.ts'
import { openProcessTable, type ProcessTable } from './shell/process-table.ts'
import { expandHome, openSecrets, type Secrets } from './shell/secrets.ts'
import { createSupervisor, type Supervisor } from './shell/supervisor.ts'
import { announce, exitUnder, openNotifier, startedBy } from './shell/under-init.ts'
import { VERSION } from './version.ts'

/** What the supervisor ends with, to be started again by a new keeper, or since another one has its place. */
const ENDS = { 'keeper-gone': 1, displaced: 5 } as const

/** How the supervisor was started. */
export type MainOptions = {
  /** In a terminal, under launchd, systemd or in a container: no keeper, the log also goes to stderr. */
  readonly foreground: boolean
  /** SIGTERM means down instead of handing over. */
  readonly stopOnTerm: boolean
}

/** Runs a supervisor until it is asked to end, then ends this process with its exit code. */
export async function main(options: MainOptions = { foreground: false, stopOnTerm: false }): Promise<void> {
  const init = startedBy()
  if (init !== null) announce(init, VERSION)
  try {
    process.exit(exitUnder(init, await supervise(options)))
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    process.stderr.write(`paios: ${error.message}\n`)
    process.exit(exitUnder(init, error.exitCode))
  }
}

async function supervise({ foreground, stopOnTerm }: MainOptions): Promise<number> {
  const home = homeAt()
  ensureHome(home)
  const secrets = openSecrets(home.env)
  const logger = createLogger(home.logs, secrets.redact)
  // A lock file that was deleted holds nobody off; who answers there runs.
  if (await isServed(home.socket)) throw alreadyRuns(home)
  const lock = takeLock(home, VERSION)
  const wasUnclean = existsSync(home.socket)
  const journal = openJournal(home.journal, home.spool, secrets.redact)
  const left = journal.left()
  const isHandedOver = existsSync(home.boot)
  const declared = await loadDeclared(home, journal, foreground)
  let finish: (code: number) => void = () => undefined
  const finished = new Promise<number>((resolve) => {
    finish = resolve
  })
  let beat: () => void = () => undefined
  const table = openProcessTable()
  const supervisor = createSupervisor({
    home,
    journal,
    left,
    secrets,
    table,
    logger,
    ended: () => finish(0),
    beat: () => beat(),
    copies: async (...asked) => (await import('./links/links.ts')).countCopies(...asked),
  })
  supervisor.alerts.apply(declared.mesh)
  supervisor.alerting.apply(declared.mesh.alerting)
  supervisor.keeping.apply(declared.mesh.logs)
  if (left.rows.length > 0) endProbePrograms(table, home.logs)
  // A crash in the middle of `down` goes on going down; only an `up` ends that.
  const wanted = foreground || isHandedOver ? 'up' : left.wanted
  supervisor.post({ kind: 'recovered', rows: left.rows, breakers: left.breakers, wanted })
  if (wanted === 'up') supervisor.post(declaredFact(declared))
  supervisor.drain()
  recordKeeper(home, table)
  const handOver = foreground || !process.env['PAIOS_KEEPER'] ? 0 : 143
  listenForSignals(supervisor, foreground, stopOnTerm, () => finish(handOver))
  const { startWatchdog } = await import('./shell/watchdog.ts')
  const watchdog = startWatchdog()
  const notifier = openNotifier()
  const documents = openDocumentWatch({
    home,
    check: checkByProgram(home, supervisor.programs, process.argv[1] ?? ''),
    note: supervisor.tellMesh,
  })
  documents.apply(declared)
  beat = () => {
    watchdog.beat()
    notifier.beat()
    documents.look()
  }
  let presence: Presence | null = null
  const lost = () => presence?.problems() ?? []
  const { socket, rules } = await serve({
    ...{
      home,
      journal,
      logger,
      supervisor,
      secrets,
      table,
      declared,
      wasUnclean,
      foreground,
      finished,
      lost,
      documents,
    },
    redact: secrets.redact,
  })
  notifier.ready()
  // Node keeps what it compiled at its end only; the next supervisor may follow a kill.
  flushCompileCache()
  presence = watchPresence({
    ...{ home, lock, socket, table, logger },
    note: supervisor.tellMesh,
    isKeeperGone: () => keeperState() === 'gone',
    end: (why) => finish(ENDS[why]),
  })
  const code = await finished
  presence.close()
  documents.close()
  notifier.stopping()
  rules.close()
  supervisor.close()
  // The answer to `down` is on its way out; the end of this process closes everything else.
  await new Promise((flushed) => setImmediate(flushed))
  journal.close()
  socket.remove()
  lock.release()
  if (code === ENDS['keeper-gone'])
    startKeeper(home.root, process.argv[1] ?? '', join(home.logs, 'supervisor', 'keeper.log'))
  return code
}

function listenForSignals(
  supervisor: Supervisor,
  foreground: boolean,
  stopOnTerm: boolean,
  handOver: () => void,
): void {
  const down = () => void supervisor.ask({ kind: 'down' })
  process.on('SIGTERM', stopOnTerm ? down : handOver)
  process.on('SIGINT', foreground ? down : handOver)
  process.on('SIGHUP', () => undefined)
}

type Serving = {
  home: Home
  journal: Journal
  logger: Logger
  supervisor: Supervisor
  secrets: Secrets
  table: ProcessTable
  declared: Declared
  wasUnclean: boolean
  foreground: boolean
  finished: Promise<number>
  /** What the supervisor has lost of what it is found by, in words. */
  lost: () => string[]
  redact: (text: string) => string
  documents: DocumentWatch
}
type Rules = { close(): void }

/** Loads what serves people: log, metrics, API, alert rules. */
async function serve(serving: Serving): Promise<{ socket: ControlSocket; rules: Rules }> {
  const { home, logger, declared, foreground, journal, documents, wasUnclean } = serving
  const startedWall = Date.now()
  const { openMetricsEndpoint, serveControl } = await import('./shell/api.ts')
  let loaded: ReturnType<typeof watch> | null = null
  const metrics = async () => {
    loaded ??= watch(serving, startedWall, repairing.found)
    const { contentType, text } = (await loaded).metrics
    return { contentType, text: await text() }
  }
  const endpoint = openMetricsEndpoint(metrics)
  const control = createControl(serving, { documents, endpoint, startedWall }, metrics)
  const { openRepairing } = await import('./repairing.ts')
  const repairing = openRepairing({ ...serving, control })
  void serving.finished.then(repairing.close)
  const whole = { ...control, repairs: repairing.control }
  const { openChatDesk } = await import('./chat-desk.ts')
  openChatDesk(serving.supervisor, whole, repairing.repairs)
  const socket = await serveControl(home.socket, whole)
  await logger.open(foreground)
  logger.info('supervisor started', { version: VERSION, pid: process.pid, unclean: wasUnclean })
  if (declared.problem) logger.warn(declared.problem)
  loaded ??= watch(serving, startedWall, repairing.found)
  const { rules, metrics: measured } = await loaded
  repairing.measure(measured)
  await endpoint.apply(declared.mesh.metrics)
  const problem = endpoint.problem()
  if (problem !== null) logger.warn(problem)
  if (!declared.problem) journal.keepDocument(declared.key, JSON.stringify(declared.mesh))
  return { socket, rules }
}

/** Metrics, and the alert rules over them. */
async function watch(serving: Serving, startedWall: number, found: (findings: readonly Finding[]) => void) {
  const { home, journal, supervisor, wasUnclean, documents } = serving
  const { createMetrics } = await import('./shell/metrics.ts')
  const { residentBytes } = await import('./shell/resident.ts')
  const { openHostWatch } = await import('./shell/host-watch.ts')
  const { openRuleEngine } = await import('./shell/rule-engine.ts')
  const host = openHostWatch({ paths: () => [home.root, ...diskPaths(supervisor)] })
  const metrics = createMetrics({
    mesh: supervisor.mesh,
    version: VERSION,
    startedWall,
    isUnclean: wasUnclean,
    lastTickWall: supervisor.lastTickWall,
    lastWakeWall: supervisor.lastWakeWall,
    own: supervisor.limits.figures,
    isJournalWritable: () => journal.problem() === null,
    isDocumentValid: documents.isValid,
    host: host.figures,
    heard: host.heard,
    outbox: supervisor.alerts.outbox.figures,
    pings: supervisor.alerts.pings,
    polledAt: supervisor.alerts.listening.lastSuccess,
    treeOf: supervisor.treeOf,
    logBytes: supervisor.keeping.bytesOf,
    residentBytes,
  })
  supervisor.takeMetrics(metrics)
  const { alerting, alerts } = supervisor
  metrics.provide({
    suppressions: alerting.suppressions,
    isFlapping: (service) => alerting.flapping().includes(service),
    incidents: alerting.counts,
  })
  const rules = openRuleEngine({
    metrics,
    path: home.rules,
    lastEvent: () => supervisor.mesh.nextEventId - 1,
    events: journal.events,
    look() {
      host.look()
      if (alerting.network(host.figures().isOnline)) alerts.flush()
    },
    found,
  })
  return { metrics, rules }
}

/** What disk probes look at. */
const diskPaths = ({ mesh }: Supervisor): string[] =>
  [...mesh.children.values()].flatMap(({ spec }) =>
    spec.probes.flatMap((probe) => (probe.kind === 'disk' ? [expandHome(probe.path)] : [])),
  )

/** Status without a supervisor: the journal's view, and what still lives. */
export async function offlineStatus(root: string): Promise<Status> {
  const { readOffline } = await import('./offline.ts')
  return readOffline(homeAt(root))
}

/** Asks the journal for events without a supervisor. */
export async function offlineEvents<T>(root: string, ask: (journal: OfflineEvents) => T): Promise<T> {
  const { readOfflineEvents } = await import('./offline.ts')
  return readOfflineEvents(homeAt(root), ask)
}

/** What can be asked of a journal without a supervisor. */
export type OfflineEvents = Pick<Journal, 'events' | 'why'>

/** Stops what lives without a supervisor: adopts it, stops it in order, ends. Returns the exit code. */
export async function offlineDown(root: string): Promise<number> {
  const { downOffline } = await import('./offline.ts')
  return downOffline(homeAt(root))
}

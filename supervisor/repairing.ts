/**
 * Repairs as part of a supervisor: what they may see and do of it, which runbook is for what, and what the control API
 * offers of them. Runbooks are read in another process.
 */
import type { Runbook } from '../schemas/runbook.ts'
import type { Finding } from './core/alert.ts'
import { membersOf } from './core/order.ts'
import type { Held, Outcome, Run } from './core/recovery-state.ts'
import { budgetLeft } from './core/repair-budget.ts'
import { processOf } from './core/rest.ts'
import { PaiosError, unknownService } from './errors.ts'
import { measureRepairs } from './repair-metrics.ts'
import { openRunbookChoice, type RunbookChoice } from './runbook-choice.ts'
import type { Control } from './shell/api.ts'
import { openBattery } from './shell/battery.ts'
import { openConfigKeeping } from './shell/config-keeping.ts'
import { openFaultWatch } from './shell/fault-watch.ts'
import type { Home } from './shell/home.ts'
import type { Journal } from './shell/journal.ts'
import { openLastGood } from './shell/last-good.ts'
import type { Metrics } from './shell/metrics.ts'
import type { ProcessTable } from './shell/process-table.ts'
import type { RepairControl, RunAsked, RunReport } from './shell/repair-api.ts'
import type { RepairEvent } from './shell/repair-event.ts'
import type { Stage } from './shell/repair-stage.ts'
import { type Considered, openRepairs, type Repairs } from './shell/repairs.ts'
import type { Secrets } from './shell/secrets.ts'
import { everySlot } from './shell/slot.ts'
import type { Supervisor } from './shell/supervisor.ts'

const TICK_MS = 1_000
/** So many runs that are over are shown. */
const SHOWN = 50

export type RepairingOptions = {
  readonly home: Home
  readonly journal: Journal
  readonly supervisor: Supervisor
  readonly secrets: Secrets
  readonly table: ProcessTable
  readonly control: Pick<Control, 'start' | 'restart'>
}

/** Opens repairs of one supervisor and goes on with what an earlier one has left. */
export function openRepairing(options: RepairingOptions): {
  readonly repairs: Repairs
  readonly control: RepairControl
  /** Lets the metrics count and show repairs; called once, when they are loaded. */
  readonly measure: (metrics: Metrics) => void
  /** Everything that fires now, by the rules. */
  readonly found: (findings: readonly Finding[]) => void
  readonly close: () => void
} {
  const { home, journal, supervisor } = options
  const stage = stageOf(options)
  const choice = openRunbookChoice(supervisor.programs, home.root)
  const repairs = openRepairs({
    stage,
    journal,
    clock: supervisor.clock,
    tell: supervisor.tell,
    choose: choice.forFault,
  })
  const keeping = openConfigKeeping({
    copies: stage.copies,
    children: () => supervisor.mesh.children.values(),
    passes: async (service, probe) =>
      (await supervisor.report(service, probe)).every(({ result }) => result === 'pass'),
    kept: (service, text) => supervisor.tell(service, { kind: 'noted', event: 'config-kept', text }),
    failed: (service, text) => supervisor.tell(service, { kind: 'noted', event: 'warning', text }),
  })
  const { alerting, mesh } = supervisor
  const battery = openBattery({
    run: async (argv, signal) => (await stage.run(argv, { signal })).stdout,
  })
  const held = async (service: string): Promise<Held[]> => [
    ...(alerting.suppressions().includes('maintenance') ? (['maintenance'] as const) : []),
    ...(alerting.flapping().includes(service) ? (['flapping'] as const) : []),
    ...((await battery.isLow()) ? (['battery'] as const) : []),
    ...(alerting.isQuiet() ? (['quiet'] as const) : []),
  ]
  const faults = openFaultWatch({
    isInTrouble: (service) => (mesh.children.get(service)?.trouble ?? null) !== null,
    consider(service, rule) {
      const incident = alerting.incidentOf(service)?.id ?? null
      const failed = ({ message }: Error) =>
        supervisor.tell(service, {
          kind: 'noted',
          event: 'warning',
          text: `no runbook can be looked at: ${message}`,
        })
      const known = ({ ok, run }: Considered) => (ok && run !== null ? repairs.known(run) : undefined)
      return held(service)
        .then((reasons) => repairs.consider({ service, rule, incident, held: reasons }))
        .then(known)
        .catch(failed)
    },
    tell: alerting.evaluated,
    over: (service) => repairs.resolved(service, null),
  })
  repairs.subscribe((event) => tellAlerting(supervisor, event))
  const endTicks = everySlot(TICK_MS, () => {
    repairs.tick()
    faults.look(performance.now())
    void keeping.tick(performance.now())
  })
  repairs.recover()
  return {
    repairs,
    control: controlOf(options, repairs, choice),
    measure: (metrics) => measureRepairs(repairs, supervisor, metrics),
    found: (findings) => faults.found(findings, performance.now()),
    close() {
      endTicks()
      faults.close()
      repairs.close()
    },
  }
}

/** What incidents say of repairs; while one has its first chance its message is silent. */
function tellAlerting({ alerting }: Supervisor, event: RepairEvent): void {
  if (event.kind === 'repairBegun') {
    const { service: name, runbook, verifyMs } = event
    alerting.tell({ kind: 'repair-begun', subject: { kind: 'service', name }, runbook, verifyMs })
  } else if (event.kind === 'repairSucceeded' || event.kind === 'repairFailed') {
    const { service: name, runbook, text } = event
    const isHealed = event.kind === 'repairSucceeded'
    alerting.tell({ kind: 'repair-ended', subject: { kind: 'service', name }, runbook, isHealed, text })
  }
}

function stageOf({ home, journal, supervisor, secrets, table, control }: RepairingOptions): Stage {
  const { mesh } = supervisor
  const child = (service: string) => mesh.children.get(service) ?? null
  return {
    home,
    table,
    copies: openLastGood(home.goodConfigs),
    redact: secrets.redact,
    child,
    show: supervisor.service,
    isUp: () => mesh.wanted === 'up',
    tree: supervisor.processes.tree,
    currentRun: (service) => {
      const found = child(service)
      return found === null ? null : (processOf(found)?.run ?? null)
    },
    earlierRuns: (service) => {
      const query = { after: 0, limit: 10_000, service, sinceMs: null }
      const runs = journal.events(query).map(({ data }) => data['run'])
      return new Set(runs.filter((run): run is string => typeof run === 'string'))
    },
    report: supervisor.report,
    again: (service) => supervisor.prober.again(service, 'readiness'),
    restart: control.restart,
    start: control.start,
    run: (argv, { env, cwd, ...rest }) =>
      supervisor.programs.run(argv, { ...rest, env: definedOnly(env), cwd: cwd ?? home.root }),
  }
}

const definedOnly = (env: Readonly<Record<string, string | null>> = {}) =>
  Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== null))

function controlOf(
  { journal, supervisor }: RepairingOptions,
  repairs: Repairs,
  choice: RunbookChoice,
): RepairControl {
  const find = async (asked: RunAsked): Promise<{ service: string; runbook: Runbook }> => {
    const service = serviceFor(supervisor, asked)
    const preset = supervisor.mesh.children.get(service)?.spec.preset ?? ''
    if (asked.name === service) {
      // What fires now says best what is to be done; without a fault, whatever has steps for it.
      const lines = supervisor.alerting.incidentOf(service)?.lines ?? []
      for (const rule of [...lines.map((line) => line.rule), null]) {
        const runbook = await choice.forFault({ service, preset, rule })
        if (runbook !== null) return { service, runbook }
      }
      throw new PaiosError(
        'unknown-runbook',
        `no runbook has steps for ${service}; read it: paios runbook show ${service}`,
      )
    }
    return { service, runbook: await choice.named(asked.name) }
  }
  /** `done` resolves when the run is over or waits for a person; `cancel` where nothing will come of it. */
  const watch = (id: number): { done: Promise<RunReport>; cancel: () => void } => {
    let cancel: () => void = () => undefined
    const done = new Promise<RunReport>((resolve) => {
      cancel = repairs.subscribe((event) => {
        if (event.kind === 'runEnded' && event.run.id === id)
          resolve(reportOf(event.run, event.outcome, null))
        else if (event.kind === 'approvalAsked' && event.approval.run === id) {
          const run = repairs.state().runs.find((one) => one.id === id)
          if (run !== undefined) resolve(reportOf(run, null, event.approval))
        } else return
        cancel()
      })
    })
    return { done, cancel }
  }
  return {
    view() {
      const { runs, approvals, ledgers } = repairs.state()
      const names = [...supervisor.mesh.children.keys()]
      const at = supervisor.clock.awake()
      return {
        runs,
        approvals,
        stopped: Object.entries(ledgers).flatMap(([service, { open }]) =>
          open === null ? [] : [{ service, reason: open }],
        ),
        budgets: names.map((service) => ({ service, left: budgetLeft({ ledgers, at }, service) })),
        ended: journal.endedRepairs(SHOWN).map((run) => reportOf(run, run.outcome, null)),
      }
    },
    async run(asked) {
      const { service, runbook } = await find(asked)
      return watch(repairs.run({ service, runbook, step: asked.step, by: asked.by })).done
    },
    async rehearse(asked) {
      const { service, runbook } = await find(asked)
      return { service, runbook: runbook.id, steps: await repairs.rehearse(service, runbook, asked.step) }
    },
    decide(id, verdict, by) {
      const run = repairs.approvals().find((one) => one.id === id)?.run
      // Before the decision: the run may be over in the same turn.
      const watched = run === undefined ? null : watch(run)
      const { ok, text } = verdict === 'approved' ? repairs.approve(id, by) : repairs.deny(id, by)
      if (ok && watched !== null) return watched.done
      watched?.cancel()
      throw new PaiosError('refused', text)
    },
  }
}

/** The service that a run is for: the one named, the one given, or the only one of the mesh. */
function serviceFor({ mesh }: Supervisor, { name, service }: RunAsked): string {
  const names = [...mesh.children.keys()]
  if (service !== null) {
    if (membersOf(mesh, service).length === 1) return service
    throw unknownService(service, names)
  }
  if (mesh.children.has(name)) return name
  const [only] = names
  if (only !== undefined && names.length === 1) return only
  throw new PaiosError('usage', `for which service? paios runbook run ${name} --service NAME`)
}

function reportOf(run: Run, outcome: Outcome | null, approval: RunReport['approval']): RunReport {
  return {
    run: run.id,
    service: run.service,
    runbook: run.runbook.id,
    result: outcome?.result ?? 'waiting',
    text: outcome?.text ?? `approval ${approval?.id} is asked for`,
    approval,
    steps: Object.entries(run.outcomes).map(([id, { result, text }]) => ({ id, result, text })),
  }
}

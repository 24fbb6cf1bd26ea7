/**
 * Runs probes: one check in flight per probe, the first at once for a service that is not ready yet, at a
 * random point of the period otherwise. It decides nothing; every result goes to the core. When this process
 * itself was late, a time-out says nothing about the service and becomes unknown.
 */
import type { OpenProbe, ProbeKind, ProbeResult } from '../../probes/probe.ts'
import type { ProbeSpec } from '../../schemas/service.ts'
import type { ProbeReport } from '../../schemas/status.ts'
import type { ProbeRole } from '../core/effect.ts'
import type { PreflightResult } from '../core/event.ts'
import { probeName } from '../core/health.ts'
import { openWatches } from './file-watch.ts'
import { checkBasics } from './preflight.ts'
import { hasReference, MissingSecret, type Secrets } from './secrets.ts'
import { untilSlot } from './slot.ts'
import { type Step, type Subject, type TargetOptions, targetOf } from './target.ts'
import { clean, failureOf, settle, wordOf } from './verdict.ts'

/** After a wake the probes look again within this time, while failures do not count for a minute. */
const WAKE_MS = 10_000

/** A probe that ran, for the metrics. */
export type ProbeRun = {
  service: string
  probe: string
  result: 'ok' | 'fail' | 'timeout' | 'error'
  seconds: number
}

export type ProberOptions = TargetOptions & {
  readonly subject: (service: string) => Subject | null
  readonly ran: (run: ProbeRun) => void
  /** A number in [0, 1). */
  readonly random: () => number
}

type Runner = {
  stop(): void
  now(): void
  soon(withinMs: number): void
  readonly role: ProbeRole
  readonly kind: string
}

/** Probes are loaded with the first service that has one. */
async function loadKinds(): Promise<Record<string, ProbeKind>> {
  const { probeKinds } = await import('../../probes/index.ts')
  return probeKinds as unknown as Record<string, ProbeKind>
}

/** The settings of a probe without its schedule. */
function settingsOf({
  kind: _k,
  name: _n,
  role: _r,
  every: _e,
  timeout: _t,
  failureThreshold: _f,
  successThreshold: _s,
  ...settings
}: ProbeSpec) {
  return settings
}

/** The prober of one mesh. */
export type Prober = ReturnType<typeof openProber>

/** Opens the prober of one mesh. */
export function openProber(options: ProberOptions) {
  const runners = new Map<string, Runner[]>()
  const checking = new Set<AbortController>()
  /** Kinds of probes that look at files, and so look again when one of them changes. */
  const watching = new Set<string>()
  const watches = openWatches((service) => {
    for (const runner of runners.get(service) ?? []) {
      if (runner.role === 'preflight' || watching.has(runner.kind)) runner.now()
    }
    options.tell(service, { kind: 'input-changed' })
  })

  async function openOne(
    service: string,
    subject: Subject,
    probe: ProbeSpec,
    took: (step: Step) => void = () => undefined,
  ): Promise<OpenProbe> {
    const kinds = await loadKinds()
    const kind = kinds[probe.kind]
    if (!kind) throw new Error(`no probe kind ${probe.kind}`)
    const settings = options.secrets.resolve(settingsOf(probe)) as never
    const files = kind.watches(settings)
    if (files.length > 0) watching.add(probe.kind)
    watches.add(service, files)
    return kind.open(settings, targetOf(service, subject, options, took))
  }

  async function checkOnce(
    service: string,
    subject: Subject,
    probe: ProbeSpec,
    took?: (step: Step) => void,
  ): Promise<ProbeResult> {
    let opened: OpenProbe | null = null
    const controller = new AbortController()
    checking.add(controller)
    try {
      opened = await openOne(service, subject, probe, took)
      return await settle(opened, probe, controller)
    } catch (error) {
      return failureOf(error, options.secrets)
    } finally {
      checking.delete(controller)
      await opened?.close()
    }
  }

  return {
    /** After a gap: every probe looks again soon, and not all of them at once. */
    woke(): void {
      for (const runner of [...runners.values()].flat()) runner.soon(WAKE_MS)
    },
    /** Every preflight of a service, in parallel. Answers in the same turn if none of them has to wait. */
    preflight(service: string, subject: Subject, done: (results: PreflightResult[]) => void): void {
      const basics = checkBasics(subject.spec, options.secrets)
      const probes = subject.spec.probes.filter((probe) => probe.role === 'preflight')
      if (basics.length > 0 || probes.length === 0) return done(basics)
      const checks = probes.map(async (probe): Promise<PreflightResult> => {
        const result = await checkOnce(service, subject, probe)
        const reason = result.kind === 'pass' ? '' : options.secrets.redact(result.reason)
        return { check: probeName(probe), outcome: result.kind, reason }
      })
      Promise.all(checks).then(done, (error: Error) =>
        done([{ check: 'preflight', outcome: 'unknown', reason: error.message }]),
      )
    },
    /** Every probe of a service, or the one named, once, now, whatever its period; none of it counts. */
    report(service: string, subject: Subject, only: string | null = null): Promise<ProbeReport[]> {
      const asked = subject.spec.probes.filter((probe) => only === null || probeName(probe) === only)
      const reports = asked.map(async (probe): Promise<ProbeReport> => {
        const steps: Step[] = []
        const begun = performance.now()
        const found = await checkOnce(service, subject, probe, (step) => steps.push(step))
        const ms = performance.now() - begun
        const outcome = clean(found, options.secrets)
        const text = outcome.kind === 'pass' ? outcome.note : outcome.reason
        return {
          name: probeName(probe),
          kind: probe.kind,
          role: probe.role,
          result: outcome.kind,
          text,
          ms,
          steps,
        }
      })
      return Promise.all(reports)
    },
    /** Opens the probes of these roles for one generation. */
    open(service: string, generation: number, roles: readonly ProbeRole[], isReady: boolean): void {
      const subject = options.subject(service)
      if (!subject) return
      const list = runners.get(service) ?? []
      for (const probe of subject.spec.probes) {
        if (!roles.includes(probe.role)) continue
        const delayMs = isReady || probe.role === 'preflight' ? options.random() * probe.every : 0
        list.push(run({ service, generation, subject, probe, delayMs, options, openOne }))
      }
      runners.set(service, list)
    },
    /** Lets the open probes of one role look now, since what they judge by has changed. */
    again(service: string, role: ProbeRole): void {
      for (const runner of runners.get(service) ?? []) if (runner.role === role) runner.now()
    },
    close(service: string): void {
      for (const runner of runners.get(service) ?? []) runner.stop()
      runners.delete(service)
    },
    closeAll(): void {
      for (const controller of checking) controller.abort()
      for (const list of runners.values()) for (const runner of list) runner.stop()
      watches.close()
    },
  }
}

type RunOptions = {
  service: string
  generation: number
  subject: Subject
  probe: ProbeSpec
  delayMs: number
  options: ProberOptions
  openOne: (service: string, subject: Subject, probe: ProbeSpec) => Promise<OpenProbe>
}

/** One probe's own loop: open, check, wait a period, check again. */
function run({ service, generation, subject, probe, delayMs, options, openOne }: RunOptions): Runner {
  let current: AbortController | null = null
  let stopped = false
  let busy = false
  let looks = 0
  let opened: OpenProbe | null = null
  let timer: NodeJS.Timeout
  const usesSecret = hasReference(settingsOf(probe))
  let openedWith: string | null = null
  const look = async () => {
    if (busy || stopped) return
    busy = true
    const begun = performance.now()
    let result: ProbeResult
    try {
      const read = usesSecret ? secretsOf(probe, options.secrets) : null
      if (read !== null && read !== openedWith) {
        await opened?.close()
        opened = null
        openedWith = read
      }
      opened ??= await openOne(service, subject, probe)
      current = new AbortController()
      result = await settle(opened, probe, current)
    } catch (error) {
      result = failureOf(error, options.secrets)
    }
    busy = false
    if (stopped) return void opened?.close()
    const seconds = (performance.now() - begun) / 1000
    options.ran({
      service,
      probe: probeName(probe),
      result: wordOf(result, seconds * 1000 >= probe.timeout),
      seconds,
    })
    const outcome = clean(result, options.secrets)
    options.tell(service, { kind: 'probe-reported', generation, probe: probeName(probe), outcome })
    // Services that came up together would be checked together for ever: the second check takes a random phase.
    const share = looks++ === 0 && delayMs === 0 ? options.random() : 1
    timer = setTimeout(look, untilSlot(probe.every * share - seconds * 1000, probe.every))
  }
  timer = setTimeout(look, delayMs === 0 ? 0 : untilSlot(delayMs, probe.every))
  return {
    kind: probe.kind,
    role: probe.role,
    now() {
      clearTimeout(timer)
      void look()
    },
    soon(withinMs) {
      if (busy) return
      clearTimeout(timer)
      timer = setTimeout(look, options.random() * Math.min(withinMs, probe.every))
    },
    stop() {
      stopped = true
      current?.abort()
      clearTimeout(timer)
      if (!busy) void opened?.close()
    },
  }
}

/** The settings as they are read now; null while a secret cannot be, as in a broken file: then the last one counts. */
function secretsOf(probe: ProbeSpec, secrets: Secrets): string | null {
  try {
    return JSON.stringify(secrets.resolve(settingsOf(probe)))
  } catch (error) {
    if (error instanceof MissingSecret) return null
    throw error
  }
}

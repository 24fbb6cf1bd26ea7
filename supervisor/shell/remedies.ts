/**
 * The actions of runbooks: how each entry of the catalogue is carried out. An action either throws, with a reason for
 * the operator, or tells what it did and what later steps may ask for.
 */

import { realpathSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nameProcess } from '../../probes/process-table.ts'
import { lockHolders } from '../../probes/sqlite-locks.ts'
import type { ActionId, RunbookStep } from '../../schemas/runbook.ts'
import { factsOf } from '../core/recovery-facts.ts'
import type { Run } from '../core/recovery-state.ts'
import { PaiosError } from '../errors.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { ConfigRestore, Undone } from './config-restore.ts'
import { declaredEnvironment } from './environment.ts'
import { endEarlier, findHolder } from './port-holder.ts'
import { collectEvidence } from './repair-evidence.ts'
import { childOf, portOf, probeOf, type Stage } from './repair-stage.ts'
import { expandHome } from './secrets.ts'
import { lockFiles } from './stale-lock.ts'

/** What an action did. */
export type Done = { readonly text: string; readonly facts: Readonly<Record<string, string>> }

type StepOf<K extends ActionId> = Extract<RunbookStep, { action: K }>
type Acting<K extends ActionId> = {
  readonly service: string
  readonly run: Run
  readonly given: StepOf<K>['with']
  readonly signal: AbortSignal
}
type ActionTable = { readonly [K in ActionId]: (acting: Acting<K>) => Promise<Done> }

/** The looking program lies beside this file, compiled or not. */
const CHECKPOINT = fileURLToPath(new URL(`./checkpoint${extname(import.meta.url)}`, import.meta.url))

const done = (text: string, facts: Done['facts'] = {}): Done => ({ text, facts })

/** Who keeps a WAL from being cut, in words. */
async function walUsers(stage: Stage, file: string, signal: AbortSignal): Promise<string> {
  const { readers, writers } = await lockHolders(realpathSync(file), stage, signal)
  const named = async (pids: readonly number[]) =>
    (await Promise.all(pids.map((pid) => nameProcess(pid, stage, signal)))).join(', ')
  if (readers.length > 0)
    return `${await named(readers)} reads an older state of it; end that, then try again`
  if (writers.length > 0) return `${await named(writers)} writes; try again`
  return 'a process that cannot be seen uses it; try again'
}

/** The actions over one stage. */
export function remediesOver(stage: Stage, restore: ConfigRestore) {
  const table: ActionTable = {
    async 'diagnostics.collect'({ service, run, given }) {
      const path = await collectEvidence(stage, service, run, given.lines)
      return done(`what was to be seen is in ${path}`, { path })
    },
    async 'probe.run'({ service, given }) {
      const reports = await stage.report(service, given.probe ?? null)
      const failing = reports.filter(({ result }) => result !== 'pass')
      const names = failing.map(({ name }) => name).join(', ')
      const said = failing.map(({ name, text, result }) => `${name}: ${text ?? result}`).join('; ')
      return done(failing.length === 0 ? `${reports.length} probes pass` : said, {
        failing: names,
        reason: said,
      })
    },
    'service.await': async () => done('the supervisor repairs it by itself'),
    async 'port.find_holder'({ service, given, signal }) {
      const port = portOf(childOf(stage, service), given.port)
      const holder = await findHolder(stage, service, port, signal)
      const facts = { holder: holder.kind, pid: 'pid' in holder ? String(holder.pid) : '' }
      const who = 'pid' in holder ? `${holder.kind}: pid ${holder.pid} (${holder.program})` : holder.kind
      return done(`holder of port ${port}: ${who}`, facts)
    },
    async 'service.restart'({ service, given }) {
      return done((await stage.restart(service, given)).message)
    },
    async 'service.start'({ service }) {
      return done((await stage.start(service)).message)
    },
    async 'mcp.reprobe'({ service }) {
      stage.again(service)
      return done('its readiness probes look again')
    },
    async 'lock.remove_stale'({ service, given }) {
      const { file, pidField } = probeOf(childOf(stage, service), 'lock', given.probe)
      const found = lockFiles(stage.table, expandHome(file), pidField)
      const alive = found.find(({ isDead }) => !isDead)
      if (alive !== undefined) throw new PaiosError('refused', `${alive.path} is kept: ${alive.why}`)
      if (found.length === 0) return done('there is no lock file', { removed: '0' })
      // Looked at once more right before: a new owner may have come.
      for (const { path } of found) {
        const [again] = lockFiles(stage.table, path, pidField)
        if (again !== undefined && !again.isDead)
          throw new PaiosError('refused', `${path} is kept: ${again.why}`)
        rmSync(path, { force: true })
      }
      const names = found.map(({ path, why }) => `${path} (${why})`).join(', ')
      return done(`removed ${names}`, { removed: String(found.length) })
    },
    async 'port.end_own'({ service, given, signal }) {
      const port = portOf(childOf(stage, service), given.port)
      const holder = await findHolder(stage, service, port, signal)
      if (holder.kind === 'none') return done(`port ${port} is free already`)
      if (holder.kind !== 'earlier') {
        const who =
          'pid' in holder ? `pid ${holder.pid} (${holder.program})` : 'a process that cannot be seen'
        const why = `which is not proven to be an earlier life of ${service}`
        throw new PaiosError('refused', `port ${port} is held by ${who}, ${why}: nothing is signalled`)
      }
      const ended = await endEarlier(stage, holder.run, signal)
      const names = ended.map(({ pid, program }) => `pid ${pid} (${program})`).join(', ')
      return done(`ended ${names} of an earlier life`)
    },
    async 'sqlite.checkpoint'({ service, given, signal }) {
      const { file } = probeOf(childOf(stage, service), 'sqlite', given.probe)
      const place = { env: declaredEnvironment({}, {}), cwd: homedir(), signal }
      const argv = [process.execPath, CHECKPOINT, expandHome(file)]
      const { code, stdout, stderr } = await stage.run(argv, place)
      if (code !== 0) throw new PaiosError('refused', `${file}: no checkpoint: ${stderr.trim().slice(-200)}`)
      const { log, checkpointed, isCut } = JSON.parse(stdout) as Checkpoint
      if (isCut) return done(`${log} pages of its WAL are written back, and its file is cut`)
      const users = await walUsers(stage, expandHome(file), signal)
      throw new PaiosError(
        'refused',
        `${file}: ${checkpointed} of ${log} pages of its WAL are written back, and its file is not cut: ${users}`,
      )
    },
    async 'config.restore_last_good'({ service, given }) {
      return restore.restore(service, given.probe)
    },
    async 'config.undo_restore'({ service, run, given }) {
      const facts =
        Object.values(run.outcomes).findLast((one) => one.facts['kept'] !== undefined)?.facts ?? {}
      return done(restore.undo(service, given.probe, facts).text)
    },
    async 'command.run'({ service, given, signal }) {
      const { spec } = childOf(stage, service)
      const place = { env: declaredEnvironment({}, {}), cwd: expandHome(spec.cwd ?? homedir()), signal }
      const { code, signal: killed, stdout, stderr } = await stage.run(given.command.map(expandHome), place)
      const said = (stderr.trim() || stdout.trim()).slice(-300)
      if (code !== 0)
        throw new PaiosError(
          'refused',
          `${given.command[0]}: ${code === null ? killed : `exit ${code}`}: ${said}`,
        )
      return done(`${given.command.join(' ')}: exit 0`)
    },
    tell: async ({ given }) => done(given.text),
  }
  return {
    act(run: Run, step: RunbookStep, signal: AbortSignal): Promise<Done> {
      const action = table[step.action] as (acting: Acting<ActionId>) => Promise<Done>
      return action({ service: run.service, run, given: step.with, signal })
    },
    /** Takes back what the step did. */
    async undo(run: Run, step: RunbookStep): Promise<Undone> {
      if (step.rollback === null) return { ok: false, text: 'nothing can be taken back' }
      const facts = run.outcomes[step.id]?.facts ?? {}
      return restore.undo(run.service, step.rollback.with.probe, facts)
    },
    /** What a person is shown before they decide: the rendered arguments, and what would change. */
    async show(run: Run, step: RunbookStep): Promise<string[]> {
      const given = Object.entries(step.with).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
      const own =
        step.action === 'config.restore_last_good' ? await restore.show(run.service, step.with.probe) : []
      const found = Object.entries(factsOf(run, {})).filter(
        ([name]) => name.endsWith('.pid') || name.endsWith('.path'),
      )
      return [...given, ...own, ...found.map(([name, value]) => `${name}: ${value}`)].map(stage.redact)
    },
  }
}

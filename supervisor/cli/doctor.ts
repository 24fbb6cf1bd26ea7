/** `paios doctor`. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MeshDocument } from '../../schemas/mesh.ts'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Status } from '../../schemas/status.ts'
import type { Facts, Finding } from '../boot/findings.ts'
import type { Place } from '../boot/place.ts'
import { PaiosError } from '../errors.ts'
import { answering } from './boot-setting.ts'
import { secretsOf } from './check.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { checkDocument, documentPath } from './document.ts'
import { paint } from './render.ts'

/** Says what would go wrong. */
export const command: Command = {
  usage: 'doctor',
  about:
    'Says what will not survive a reboot and what else is in the way: not installed, no lingering, a unit or plist\n' +
    'that was changed, an edit that is not applied, services that you have stopped, missing secrets, programs that\n' +
    'a boot will not find, services that systemd or launchd runs or has taken back, the version in force and its\n' +
    'Node, a sentinel that is missing, silent or cannot write to the chat, permissions, a keeper that is gone, disk\n' +
    'space. Each finding says what, where, and what to do. Exits 1\n' +
    'if something is wrong. Changes nothing.',
  flags: {},
  operands: { min: 0, max: 0 },
  examples: [
    ['paios doctor', 'will the mesh be there after a reboot?'],
    ["paios doctor --json | jq '.findings[].id'", 'for scripts'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, out } = invocation
  if (!existsSync(home))
    throw new PaiosError('no-supervisor', `there is no mesh in ${home}: paios up makes one`)
  const { findingsOf } = await import('../boot/findings.ts')
  const findings = findingsOf(await gather(invocation))
  const isWrong = findings.some(({ level }) => level === 'wrong')
  if (json) out(`${JSON.stringify({ ok: !isWrong, findings })}\n`)
  else if (findings.length === 0) out('nothing is wrong: the mesh comes back after a reboot\n')
  else out(findings.map((finding) => `${shown(finding, invocation)}\n`).join(''))
  return isWrong ? 1 : 0
}

function shown({ level, what, where, remedy }: Finding, invocation: Invocation): string {
  const mark = level === 'wrong' ? paint('!', 'red', invocation) : paint('-', 'dim', invocation)
  return `${mark} ${what}\n    ${where}\n    ${remedy}`
}

async function gather(invocation: Invocation): Promise<Facts> {
  const { home, entry } = invocation
  const [
    { placeOf },
    look,
    { openInit, initOf },
    { findRunning, isTakenDown },
    { takeoverFacts },
    { sentinelFacts },
  ] = await Promise.all([
    import('../boot/place.ts'),
    import('../boot/facts.ts'),
    import('../boot/init-port.ts'),
    import('../boot/running.ts'),
    import('../boot/takeover-facts.ts'),
    import('../boot/sentinel-facts.ts'),
  ])
  const place = placeOf(home)
  const boot = await look.bootFacts(place)
  const init = initOf() === null || boot.unreachable !== null ? null : await openInit(place)
  const running = await findRunning(place, () => answering(home), init)
  const status = running === null ? null : await call<Status>(home, 'GET', '/status')
  const document = await documentFacts(home)
  return {
    home,
    boot,
    running: running === null || status === null ? null : { ...running, ...runningFacts(status) },
    isTakenDown: running === null && (await isTakenDown(place)),
    isKeeperStale: look.isKeeperStale(place),
    versions: await look.versionFacts(place, entry, dirname(dirname(entry))),
    document: document.facts,
    services: await serviceFacts(place, document.specs, await look.bootPath(place)),
    takeover: await takeoverFacts(place, document.specs, status),
    sentinel: sentinelFacts(place, init, document.chat, entry),
    exposed: look.exposedFacts(place),
    disk: look.diskFacts(place),
    desktop: document.desktop,
  }
}

function runningFacts({ keeper, document, services }: Status) {
  const stopped = services.flatMap(({ name, stopped: stop }) =>
    stop === null || stop.until !== null ? [] : [{ name, since: stop.at }],
  )
  return { keeper, documentProblem: document.problem, stopped }
}

/** The document's state and its services; none where it is not valid. */
async function documentFacts(home: string): Promise<{
  facts: Facts['document']
  specs: readonly ServiceSpec[]
  desktop: string | null
  chat: { token: string } | null
}> {
  const path = documentPath(home)
  try {
    const result = await checkDocument(path)
    if (result.ok) {
      const { specs, alerts } = result.mesh
      const desktop = await desktopTrouble(alerts)
      return { facts: { path, problem: null }, specs, desktop, chat: alerts?.telegram ?? null }
    }
    const count = result.problems.length
    const problem = `it is not valid (${count} problem${count === 1 ? '' : 's'}); the last valid one runs at a boot`
    return { facts: { path, problem }, specs: [], desktop: null, chat: null }
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    return { facts: { path, problem: error.message }, specs: [], desktop: null, chat: null }
  }
}

/** Why nothing can be shown on the screen; null where something can, or nothing would be. */
async function desktopTrouble(alerts: MeshDocument['alerts']): Promise<string | null> {
  if ((alerts?.telegram ?? alerts?.ntfy) === undefined || alerts?.desktop === false) return null
  const found = (await import('../shell/desktop.ts')).findDesktop()
  return found.kind === 'absent' ? found.reason : null
}

async function serviceFacts(
  place: Place,
  specs: readonly ServiceSpec[],
  bootPath: string | null,
): Promise<Facts['services']> {
  const { resolveProgram, servicePath } = await import('../shell/environment.ts')
  return Promise.all(
    specs.map(async (spec) => {
      const here = spec.command === null ? null : resolveProgram(spec, spec.env['PATH'] ?? servicePath())
      const there = bootPath === null ? here : resolveProgram(spec, spec.env['PATH'] ?? bootPath)
      const isLost = here?.kind === 'found' && there?.kind === 'absent'
      // A program that is not installed asks for no secret.
      const secrets = here?.kind === 'absent' ? [] : await secretsOf(spec, place.home)
      return {
        name: spec.name,
        missingSecrets: secrets.flatMap(({ reference, trouble }) =>
          trouble === null ? [] : [{ reference, trouble }],
        ),
        programOffPath: isLost ? (spec.command?.[0] ?? null) : null,
        usesCopy: spec.command?.find((word) => isInCopy(place, word)) ?? null,
      }
    }),
  )
}

/** True for a path below versions/ID; one below versions/current lasts. */
function isInCopy({ versions }: Place, word: string): boolean {
  return word.startsWith(`${versions}/`) && !word.startsWith(`${versions}/current/`)
}

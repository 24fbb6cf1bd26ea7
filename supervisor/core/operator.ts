/** What an operator asks for, decided: accepted with a reply, or refused with the reason and the way on. */
import { closeBreakers } from './breaker.ts'
import type { Command } from './event.ts'
import { hasProcess, liveDependents, membersOf } from './order.ts'
import { arm, disarm, record, type Scope } from './scope.ts'
import type { Child } from './state.ts'
import { type Changes, put, tell } from './tree.ts'

/** One command. Every command gets exactly one `reply` or `refuse`. */
export function obey(scope: Scope, changes: Changes, request: number, command: Command): void {
  if (command.kind === 'down') return goDown(scope, changes, request)
  const names = membersOf(scope.mesh, command.name)
  if (names.length === 0) {
    const message = `no service or group is called ${command.name}`
    scope.effects.push({ kind: 'refuse', request, code: 'unknown-service', message })
    return
  }
  if (scope.mesh.wanted === 'down')
    return refuse(scope, request, 'the mesh is going down; start it again with `paios up`')
  const unsure =
    command.kind === 'stop'
      ? []
      : names.filter((name) => scope.mesh.children.get(name)?.state.kind === 'unknown')
  if (unsure.length > 0) {
    return refuse(
      scope,
      request,
      `${unsure.join(', ')}: nobody can tell whether its process still runs; look at it, end it, then ask again`,
    )
  }
  if (command.kind === 'start') return start(scope, changes, request, names)
  if (command.kind === 'stop') return stop(scope, changes, request, names, command)
  return restart(scope, changes, request, names, command)
}

function refuse(scope: Scope, request: number, message: string): void {
  scope.effects.push({ kind: 'refuse', request, code: 'refused', message })
}

function goDown(scope: Scope, changes: Changes, request: number): void {
  const { mesh } = scope
  mesh.wanted = 'down'
  scope.effects.push({ kind: 'record-wanted', wanted: 'down' })
  for (const name of [...mesh.order].reverse()) {
    const child = mesh.children.get(name)
    if (!child) continue
    if (child.state.kind === 'idle') put(mesh, changes, { ...child, state: { ...child.state, why: 'down' } })
    else {
      put(
        mesh,
        changes,
        record({ ...child, cause: null }, scope, 'stop-asked', 'the mesh was asked to go down'),
      )
      tell(scope, changes, name, { kind: 'needs-changed' })
    }
  }
  scope.effects.push({ kind: 'reply', request, message: 'going down', names: [...mesh.order].reverse() })
}

/** The operator's word on one child, recorded as the first cause of what follows. */
function want(
  scope: Scope,
  changes: Changes,
  name: string,
  desired: Child['desired'],
  event: string,
  text: string,
): void {
  const child = scope.mesh.children.get(name)
  if (!child) return
  const cleared = { ...disarm(child, scope, 'unstop'), desired, cause: null, pendingStop: null }
  const told = record(cleared, scope, event, text)
  const timed = desired.kind === 'stopped' && desired.until !== null
  put(
    scope.mesh,
    changes,
    timed ? arm(told, scope, 'unstop', scope.at + (desired.until ?? 0) - scope.wall) : told,
  )
}

function start(scope: Scope, changes: Changes, request: number, names: readonly string[]): void {
  const disabled = names.filter((name) => !scope.mesh.children.get(name)?.spec.enabled)
  if (disabled.length > 0)
    return refuse(scope, request, `${disabled.join(', ')}: \`enabled: false\` in the document`)
  const released = release(scope, names)
  for (const name of names) {
    want(scope, changes, name, { kind: 'running' }, 'start-asked', 'asked to start')
    tell(scope, changes, name, { kind: 'start-asked' })
  }
  for (const name of released) tell(scope, changes, name, { kind: 'start-asked' })
  scope.effects.push({ kind: 'reply', request, message: `starting ${names.join(', ')}`, names })
}

/** Closes the breakers around these services; names the others that were quarantined with them. */
function release(scope: Scope, names: readonly string[]): string[] {
  const { mesh } = scope
  const groups = names.flatMap((name) => {
    const child = mesh.children.get(name)
    return child ? closeBreakers(scope, child) : []
  })
  const inside = new Set(groups.flatMap((group) => membersOf(mesh, group)))
  return mesh.order.filter((name) => {
    const state = mesh.children.get(name)?.state
    return inside.has(name) && !names.includes(name) && state?.kind === 'failed' && state.by !== null
  })
}

function stop(
  scope: Scope,
  changes: Changes,
  request: number,
  names: readonly string[],
  command: Extract<Command, { kind: 'stop' }>,
): void {
  const dependents = liveDependents(scope.mesh, names)
  if (dependents.length > 0 && !command.withDependents) {
    const message = `${names.join(', ')} is needed by ${dependents.join(', ')}; to stop them too, add --with-dependents`
    scope.effects.push({ kind: 'refuse', request, code: 'refused-dependents', message })
    return
  }
  const all = [...names, ...dependents]
  const until = command.forMs === null ? null : scope.wall + command.forMs
  for (const name of all)
    want(scope, changes, name, { kind: 'stopped', at: scope.wall, until }, 'stop-asked', 'asked to stop')
  for (const name of scope.mesh.order.filter((member) => all.includes(member)).reverse()) {
    const child = scope.mesh.children.get(name)
    if (child && command.now)
      put(scope.mesh, changes, { ...child, pendingStop: { cause: 'operator', now: true } })
    if (child && !hasProcess(child))
      tell(scope, changes, name, { kind: 'stop-asked', cause: 'operator', now: false })
    else if (child?.state.kind === 'stopping' || child?.state.kind === 'sweeping') {
      tell(scope, changes, name, { kind: 'stop-asked', cause: 'operator', now: command.now })
    } else tell(scope, changes, name, { kind: 'needs-changed' })
  }
  scope.effects.push({ kind: 'reply', request, message: `stopping ${all.join(', ')}`, names: all })
}

function restart(
  scope: Scope,
  changes: Changes,
  request: number,
  names: readonly string[],
  command: Extract<Command, { kind: 'restart' }>,
): void {
  const reasons = names.flatMap((name) => {
    const child = scope.mesh.children.get(name)
    if (!child || (child.state.kind !== 'running' && child.state.kind !== 'starting')) return []
    const found = (command.preflight[name] ?? []).filter(
      (result) => result.outcome === 'fail' || result.outcome === 'absent',
    )
    return found.map((result) => `${name}: ${result.reason}`)
  })
  if (reasons.length > 0) {
    return refuse(
      scope,
      request,
      `not restarted, it could not start again and keeps running: ${reasons.join('; ')}`,
    )
  }
  const released = release(scope, names)
  for (const name of names) {
    want(scope, changes, name, { kind: 'running' }, 'restart-asked', 'asked to restart')
    tell(scope, changes, name, { kind: 'restart-asked', cause: 'manual', now: command.now })
  }
  for (const name of released) tell(scope, changes, name, { kind: 'start-asked' })
  scope.effects.push({ kind: 'reply', request, message: `restarting ${names.join(', ')}`, names })
}

/**
 * What no schema can see: names that refer to each other. Needs on groups are spelled out here as needs on
 * their members, and a member takes over what its groups need, so that the core knows only services.
 */

import type { MeshDocument } from '../../schemas/mesh.ts'
import type { Need, ServiceSpec } from '../../schemas/service.ts'
import { backoffMs } from '../core/backoff.ts'
import type { Group } from '../core/state.ts'
import { type Finding, type Path, unknownWord } from './problem.ts'

type Groups = MeshDocument['groups']

/** The groups of a document, in its order. */
export function groupSpecs(specs: readonly ServiceSpec[], groups: Groups): Group[] {
  const tree = treeOf(specs, groups)
  return Object.entries(groups).map(([name, group]) => ({
    name,
    parent: group.group ?? null,
    strategy: group.strategy,
    intensity: group.intensity ?? null,
    nodes: nodesOf(tree, name),
  }))
}

/** What is directly inside a group, in the order of the document; a group stands where its first service does. */
function nodesOf(tree: Tree, group: string): string[] {
  const nodes = (tree.members.get(group) ?? []).map((service) => {
    const path = [service, ...ancestors(tree, service)]
    return path[path.indexOf(group) - 1] ?? service
  })
  return [...new Set(nodes)]
}

/**
 * Problems of names: groups that do not exist or contain themselves, needs on nothing, one name for two
 * things.
 */
export function checkNames(specs: readonly ServiceSpec[], groups: Groups): Finding[] {
  const services = new Set(specs.map((spec) => spec.name))
  const tree = treeOf(specs, groups)
  const found: Finding[] = []
  const report = (path: Path, message: string, at: Finding['at'] = 'value') =>
    found.push({ path, at, message })
  const checkGroup = (path: Path, name: string | null) => {
    if (name !== null && !tree.parents.has(name)) {
      report(path, unknownWord('group', name, Object.keys(groups)))
    }
  }
  for (const spec of specs) checkGroup(['services', spec.name, 'group'], spec.group)
  for (const [name, group] of Object.entries(groups)) {
    if (services.has(name)) report(['groups', name], `\`${name}\` is also the name of a service`, 'key')
    checkGroup(['groups', name, 'group'], group.group ?? null)
    const above = ancestors(tree, name)
    if (above.includes(name)) {
      report(
        ['groups', name, 'group'],
        `contains itself: ${[name, ...above.slice(0, above.indexOf(name) + 1)].join(' → ')}`,
      )
    }
  }
  const names = [...services, ...Object.keys(groups)]
  for (const { path, owner, needs } of owners(specs, groups)) {
    needs.forEach((need, index) => {
      if (!tree.known.has(need.service)) {
        report([...path, 'needs', index], unknownWord('service', need.service, names))
      } else if (isInside(tree, owner, need.service)) {
        const text = [owner, need.service, owner].join(' → ')
        report([...path, 'needs', index], `a group and what is inside it cannot need each other: ${text}`)
      }
    })
  }
  return found
}

/** Replaces needs on groups by needs on their members and adds the needs of a service's groups to its own. */
export function expandNeeds(specs: readonly ServiceSpec[], groups: Groups): ServiceSpec[] {
  const tree = treeOf(specs, groups)
  return specs.map((spec) => {
    // Needs that were reported by themselves would be reported again as cycles, if they were spelled out.
    const fit = (owner: string, needs: readonly Need[]) =>
      needs.filter(
        ({ service }) =>
          !isInside(tree, owner, service) && orderedAgainst(tree, groups, owner, service) === undefined,
      )
    const inherited = ancestors(tree, spec.name).flatMap((name) => fit(name, ownNeeds(groups, name)))
    const expanded = new Map<string, Need>()
    for (const need of [...fit(spec.name, spec.needs), ...inherited]) {
      for (const service of tree.members.get(need.service) ?? [need.service]) {
        if (!expanded.has(service)) expanded.set(service, { ...need, service })
      }
    }
    for (const earlier of predecessors(spec, groups, tree, specs)) {
      if (!expanded.has(earlier)) expanded.set(earlier, { service: earlier, until: 'ready', restart: false })
    }
    return { ...spec, needs: [...expanded.values()] }
  })
}

/**
 * In `rest_for_one` each node needs the one before it: that is what its order means. What does not run for ever, or is
 * disabled, is passed over, since nothing could wait for it twice.
 */
function predecessors(
  spec: ServiceSpec,
  groups: Groups,
  tree: Tree,
  specs: readonly ServiceSpec[],
): string[] {
  const lasting = new Set(
    specs.filter(({ restart, enabled }) => restart === 'permanent' && enabled).map(({ name }) => name),
  )
  const path = [spec.name, ...ancestors(tree, spec.name)]
  return path.slice(1).flatMap((group, index) => {
    if (groups[group]?.strategy !== 'rest_for_one') return []
    const nodes = nodesOf(tree, group)
    const earlier = nodes.slice(0, nodes.indexOf(path[index] ?? '')).reverse()
    const servicesOf = (node: string) =>
      (tree.members.get(node) ?? [node]).filter((name) => lasting.has(name))
    return earlier.map(servicesOf).find((services) => services.length > 0) ?? []
  })
}

/** Needs in a `rest_for_one` group on what comes later in it: the two orders contradict each other. */
export function checkOrder(specs: readonly ServiceSpec[], groups: Groups): Finding[] {
  const tree = treeOf(specs, groups)
  return [...owners(specs, groups)].flatMap(({ path, owner, needs }) =>
    needs.flatMap((need, index): Finding[] => {
      const group = orderedAgainst(tree, groups, owner, need.service)
      if (group === undefined) return []
      const where = `which comes after it in the rest_for_one group \`${group}\`: put it before`
      const message = `\`${owner}\` needs \`${need.service}\`, ${where}`
      return [{ path: [...path, 'needs', index], at: 'value', message }]
    }),
  )
}

/** The `rest_for_one` group in which `target` comes after `owner`; undefined if there is none. */
function orderedAgainst(tree: Tree, groups: Groups, owner: string, target: string): string | undefined {
  return ancestors(tree, owner).find((group) => {
    if (groups[group]?.strategy !== 'rest_for_one') return false
    const nodes = nodesOf(tree, group)
    const at = (name: string) =>
      nodes.findIndex((node) => node === name || ancestors(tree, name).includes(node))
    return at(owner) >= 0 && at(target) > at(owner)
  })
}

/** Cycles among needs, each printed as its path and reported where its last link is written. */
export function checkCycles(specs: readonly ServiceSpec[]): Finding[] {
  const needs = new Map(specs.map((spec) => [spec.name, spec.needs.map((need) => need.service)]))
  const done = new Set<string>()
  const found: Finding[] = []
  for (const root of needs.keys()) {
    const trail: { name: string; next: number }[] = done.has(root) ? [] : [{ name: root, next: 0 }]
    const onTrail = new Set([root])
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const target = needs.get(top.name)?.[top.next++]
      if (target === undefined) {
        trail.pop()
        onTrail.delete(top.name)
        done.add(top.name)
      } else if (onTrail.has(target)) {
        const names = trail.map((step) => step.name)
        const cycle = [...names.slice(names.indexOf(target)), target].join(' → ')
        found.push({
          path: ['services', top.name, 'needs'],
          at: 'key',
          message: `needs form a cycle: ${cycle}`,
        })
      } else if (!done.has(target) && needs.has(target)) {
        trail.push({ name: target, next: 0 })
        onTrail.add(target)
      }
    }
  }
  return found
}

/** Two services, or a service and the metrics endpoint, on one loopback port. */
export function checkPorts(specs: readonly ServiceSpec[], metrics: MeshDocument['metrics']): Finding[] {
  const holders = new Map<number, string>()
  if (metrics.enabled) holders.set(metrics.port, 'the metrics endpoint (`metrics.port`)')
  const found: Finding[] = []
  for (const spec of specs) {
    if (!spec.enabled) continue
    for (const port of new Set(spec.ports)) {
      const holder = holders.get(port)
      if (holder === undefined) {
        holders.set(port, `\`${spec.name}\``)
        continue
      }
      const path = ['services', spec.name, 'port']
      found.push({ path, at: 'value', message: `port ${port} is used by \`${spec.name}\` and by ${holder}` })
    }
  }
  return found
}

/** What is allowed and still looks wrong: a budget that nothing can use up, a need on a disabled service. */
export function checkDoubts(specs: readonly ServiceSpec[], mesh: MeshDocument): Finding[] {
  const { maxFailedStart } = mesh.defaults
  const disabled = new Set(specs.filter((spec) => !spec.enabled).map((spec) => spec.name))
  const ofGroups = Object.entries(mesh.groups).flatMap(([name, { intensity }]) =>
    intensity ? budgetDoubt(['groups', name], intensity, maxFailedStart) : [],
  )
  const ofServices = specs.flatMap((spec) => {
    const isEndless = spec.command !== null && spec.restart !== 'temporary'
    const found = isEndless ? budgetDoubt(['services', spec.name], spec.intensity, maxFailedStart) : []
    for (const need of spec.enabled ? spec.needs : []) {
      if (!disabled.has(need.service)) continue
      const message = `needs \`${need.service}\`, which is disabled: it will wait forever`
      found.push({ path: ['services', spec.name, 'needs'], at: 'key', message })
    }
    return found
  })
  return [...ofServices, ...ofGroups]
}

/**
 * Longest time in which `max` restarts happen: every delay at its upper jitter and a start that fails
 * slowly (`defaults.maxFailedStart`, 20 s: a gateway whose port is held gives up after 18 s).
 */
function spanMs(max: number, failedStartMs: number): number {
  let sum = 0
  for (let n = 1; n <= max; n++) sum += backoffMs(n, 1) + failedStartMs
  return sum
}

function budgetDoubt(
  path: Path,
  { max, within }: ServiceSpec['intensity'],
  failedStartMs: number,
): Finding[] {
  const span = spanMs(max, failedStartMs)
  if (span <= within) return []
  let reachable = max
  while (reachable > 0 && spanMs(reachable, failedStartMs) > within) reachable--
  const minutes = Math.ceil(span / 60_000)
  const less = reachable > 0 ? `, or \`max\` to ${reachable} or less` : ''
  const message =
    `this budget may never be used up: ${max} restarts with their delays take up to ` +
    `${Math.ceil(span / 1000)} s, longer than the window of ${within / 1000} s. ` +
    `Raise \`within\` to ${minutes}m or more${less}`
  return [{ path: [...path, 'intensity'], at: 'value', message }]
}

type Tree = {
  /** Every name of a service or group. */
  readonly known: ReadonlySet<string>
  /** Parent of each group. */
  readonly parents: ReadonlyMap<string, string | null>
  /** Parent group of each service and group. */
  readonly above: ReadonlyMap<string, string | null>
  /** Services inside each group, at any depth. */
  readonly members: ReadonlyMap<string, readonly string[]>
}

function treeOf(specs: readonly ServiceSpec[], groups: Groups): Tree {
  const parents = new Map(Object.entries(groups).map(([name, group]) => [name, group.group ?? null]))
  const above = new Map([...parents, ...specs.map((spec) => [spec.name, spec.group] as const)])
  const members = new Map<string, string[]>([...parents.keys()].map((name) => [name, []]))
  const tree = { known: new Set(above.keys()), parents, above, members }
  for (const spec of specs) {
    for (const name of ancestors(tree, spec.name)) members.get(name)?.push(spec.name)
  }
  return tree
}

/** The groups around a name, inner first. A group that contains itself ends the walk with its own name. */
function ancestors(tree: Pick<Tree, 'above'>, name: string): string[] {
  const found = new Set<string>()
  let next = tree.above.get(name) ?? null
  while (next !== null && !found.has(next)) {
    found.add(next)
    next = tree.above.get(next) ?? null
  }
  return [...found]
}

/** True if one of the two is the other or contains it: neither may need the other. */
function isInside(tree: Tree, owner: string, target: string): boolean {
  return owner === target
    ? tree.parents.has(owner)
    : ancestors(tree, owner).includes(target) || ancestors(tree, target).includes(owner)
}

function ownNeeds(groups: Groups, name: string): readonly Need[] {
  return Object.hasOwn(groups, name) ? (groups[name]?.needs ?? []) : []
}

function* owners(specs: readonly ServiceSpec[], groups: Groups) {
  for (const spec of specs)
    yield { path: ['services', spec.name] as Path, owner: spec.name, needs: spec.needs }
  for (const [name, group] of Object.entries(groups)) {
    yield { path: ['groups', name] as Path, owner: name, needs: group.needs }
  }
}

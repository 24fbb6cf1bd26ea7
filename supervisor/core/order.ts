/** Who is inside what, who needs whom, and what has a process: the shape of the tree, without its changes. */
import type { Child, Mesh } from './state.ts'

const HAS_PROCESS = new Set(['spawning', 'starting', 'running', 'hung', 'stopping', 'sweeping', 'adopting'])

/** True if the child has, or may have, a process of ours. */
export function hasProcess(child: Child): boolean {
  return HAS_PROCESS.has(child.state.kind)
}

/** The names of every service in a group, nested ones included; the name itself if it is a service. */
export function membersOf(mesh: Mesh, name: string): readonly string[] {
  return mesh.children.has(name) ? [name] : (mesh.members.get(name) ?? [])
}

/** The services inside each group, at any depth, in the order of starts. */
export function membersByGroup({ groups, children, order }: Mesh): Map<string, string[]> {
  const members = new Map<string, string[]>([...groups.keys()].map((name) => [name, []]))
  for (const name of order) {
    const seen = new Set<string>()
    let group = children.get(name)?.spec.group ?? null
    while (group !== null && !seen.has(group)) {
      seen.add(group)
      members.get(group)?.push(name)
      group = groups.get(group)?.parent ?? null
    }
  }
  return members
}

/**
 * Needs before dependents; among equals the given order. A cycle cannot come here: the document refuses it.
 */
export function startOrder(children: ReadonlyMap<string, Child>): string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (name: string) => {
    if (seen.has(name)) return
    seen.add(name)
    for (const need of specOf(children.get(name))?.needs ?? [])
      if (children.has(need.service)) visit(need.service)
    order.push(name)
  }
  for (const name of children.keys()) visit(name)
  return order
}

const specOf = (child: Child | undefined) => child?.nextSpec?.spec ?? child?.spec

/** Who needs a service, by its name. */
export function dependentsOf(children: ReadonlyMap<string, Child>): Map<string, string[]> {
  const dependents = new Map<string, string[]>()
  for (const child of children.values()) {
    for (const need of child.spec.needs) {
      const list = dependents.get(need.service)
      if (list) list.push(child.name)
      else dependents.set(need.service, [child.name])
    }
  }
  return dependents
}

/** Dependents of these services, direct and indirect, that are not among them and have a process. */
export function liveDependents(mesh: Mesh, names: readonly string[]): string[] {
  const found = new Set<string>()
  const queue = [...names]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const dependent of mesh.dependents.get(name) ?? []) {
      const child = mesh.children.get(dependent)
      if (!child || found.has(dependent) || names.includes(dependent)) continue
      if (!hasProcess(child)) continue
      found.add(dependent)
      queue.push(dependent)
    }
  }
  return mesh.order.filter((name) => found.has(name))
}

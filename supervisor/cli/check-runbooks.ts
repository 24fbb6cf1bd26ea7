/** The operator's own runbooks as `paios check` sees them. */
import type { MeshConfig } from '../config.ts'
import type { Problem } from '../document/problem.ts'

/** One file with what is wrong in it. */
export type CheckedRunbook = { readonly path: string; readonly problems: readonly Problem[] }

/** Every runbook of the home: its own problems, and a name that belongs to nothing. */
export async function checkRunbooks(home: string, mesh: MeshConfig): Promise<CheckedRunbook[]> {
  const { readOwnRunbooks, RULE_NAMES } = await import('../document/runbook.ts')
  const { presets } = await import('../../services/index.ts')
  const services = mesh.specs.map(({ name }) => name)
  const known = new Set([...services, ...Object.keys(presets), ...RULE_NAMES])
  return readOwnRunbooks(home).map(({ path, runbook, problems }) => {
    const name = path.slice(path.lastIndexOf('/') + 1, -'.md'.length)
    const more: Problem[] = []
    if (!known.has(name)) more.push(at('belongs to no service, preset or alert rule: name it after one'))
    for (const service of runbook?.applies.services ?? [])
      if (!services.includes(service)) more.push(at(`applies.services: there is no service \`${service}\``))
    for (const preset of runbook?.applies.presets ?? [])
      if (!Object.hasOwn(presets, preset)) more.push(at(`applies.presets: there is no preset \`${preset}\``))
    return { path, problems: [...problems, ...more] }
  })
}

const at = (message: string): Problem => ({ line: 1, column: 1, path: '', message })

/** `paios export`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PaiosError } from '../errors.ts'
import { RUNBOOKS } from '../version.ts'
import type { Command, Invocation } from './command.ts'
import { checkDocument, documentPath, validMesh } from './document.ts'

const KINDS = ['prometheus', 'alertmanager', 'grafana'] as const
type Kind = (typeof KINDS)[number]

/** Writes the alert rules and dashboards for monitoring that runs beside the supervisor. */
export const command: Command = {
  usage: 'export prometheus|alertmanager|grafana --out DIR',
  about:
    'Writes what Prometheus, Alertmanager or Grafana need to watch this mesh, from the same declarations that the\n' +
    'supervisor obeys: alert rules with their tests and a scrape configuration, inhibitions, dashboards. Files that\n' +
    'something else has written are left alone (exit 5, nothing is written).',
  flags: { out: { value: 'DIR', help: 'the folder to write into; made if it is not there' } },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios export prometheus --out /etc/prometheus/paios', 'rules, their tests, a configuration'],
    ['paios export grafana --out ~/dashboards', 'five dashboards to import or provision'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { operands, text, json, out } = invocation
  const kind = KINDS.find((one) => one === operands[0])
  const folder = text('out')
  if (kind === undefined)
    throw new PaiosError('usage', `nothing is exported for '${operands[0]}': ${KINDS.join(', ')}`)
  if (folder === null) throw new PaiosError('usage', `say where to: paios export ${kind} --out DIR`)
  const files = await filesOf(kind, invocation)
  const { WRITTEN_BY } = await import('../export/prometheus.ts')
  const paths = [...files].map(([name, content]) => [join(resolve(folder), name), content] as const)
  for (const [path] of paths) {
    if (existsSync(path) && !readFileSync(path, 'utf8').includes(WRITTEN_BY))
      throw new PaiosError(
        'refused',
        `${path} was not written by paios export: move it away, or export elsewhere`,
      )
  }
  try {
    mkdirSync(resolve(folder), { recursive: true })
    for (const [path, content] of paths) writeFileSync(path, content)
  } catch (error) {
    const { message } = error as Error
    throw new PaiosError('usage', `cannot write into ${folder}: ${message}`, { cause: error })
  }
  const written = paths.map(([path]) => path)
  out(json ? `${JSON.stringify({ written })}\n` : written.map((path) => `wrote ${path}\n`).join(''))
  return 0
}

async function filesOf(kind: Kind, { home }: Invocation): Promise<ReadonlyMap<string, string>> {
  if (kind === 'grafana') return (await import('../export/grafana.ts')).dashboardFiles()
  const path = documentPath(home)
  const mesh = await validMesh(path, await checkDocument(path))
  if (kind === 'alertmanager') {
    const { alertmanagerFile } = await import('../export/routing.ts')
    const needs = new Map(mesh.specs.map(({ name, needs }) => [name, needs.map(({ service }) => service)]))
    return new Map([['alertmanager.yml', alertmanagerFile(needs)]])
  }
  const { prometheusFile, rulesFile, rulesTestFile } = await import('../export/prometheus.ts')
  const runbook = (rule: string) => join(RUNBOOKS, `${rule}.md`)
  return new Map([
    ['paios.rules.yml', rulesFile(runbook)],
    ['paios.rules.test.yml', rulesTestFile('paios.rules.yml', runbook)],
    ['prometheus.yml', prometheusFile(mesh.metrics.port, 'paios.rules.yml')],
  ])
}

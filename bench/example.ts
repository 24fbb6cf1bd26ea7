/**
 * What the probes of a whole mesh cost: docs/examples/paios-mesh.yaml with the real programs, over a span in which each
 * of its probes has run. Counted is the supervisor and every program that a probe has started and that has ended;
 * beside it, in the same run, a supervisor without any service.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installExample, layOutExample } from '../test/e2e/example-home.ts'
import type { Bench } from './measures.ts'
import { pause, pssBytes, run } from './processes.ts'

/** The slowest probes of the example have a period of 15 min. */
const SPAN_MS = 16 * 60_000
/** Until everything is up and what starts once has started. */
const SETTLE_MS = 60_000
/** Long enough for every kind of probe to have been loaded once. */
const WARM_MS = 20_000
/** Linux counts CPU time in hundredths of a second. */
const TICK_MS = 10

/** CPU milliseconds of a process and of all its children that have ended and were waited for. */
function cpuWithChildrenMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0) * TICK_MS
}

type Mesh = { readonly home: string; readonly env: NodeJS.ProcessEnv }

function openMesh(bench: Bench, name: string, document: string, env: NodeJS.ProcessEnv): Mesh {
  const home = join(bench.folder, name)
  mkdirSync(home, { recursive: true, mode: 0o700 })
  writeFileSync(join(home, 'paios.yaml'), document, { mode: 0o600 })
  return { home, env: { ...env, PAIOS_HOME: home } }
}

/** CPU share and memory with the example's probes and without any service. */
export async function measureExample(bench: Bench): Promise<void> {
  const programs = await installExample()
  const absent = Object.entries(programs).filter(([, path]) => path === null)
  if (absent.length > 0) throw new Error(`not to be had here: ${absent.map(([name]) => name).join(', ')}`)
  const paios = (mesh: Mesh, ...words: string[]) =>
    run([bench.node, join(dirname(import.meta.dirname), 'bin', 'paios.mjs'), ...words], mesh.env)
  const { document, env } = await layOutExample(join(bench.folder, 'user'), programs)
  const off = 'metrics: { enabled: false }\n'
  const meshes = {
    example: openMesh(bench, 'e', `${document}${off}`, env),
    bare: openMesh(bench, 'b', `version: 1\n${off}`, env),
  }
  const pidOf = async (mesh: Mesh) => {
    const { output } = await paios(mesh, 'status', '--json')
    return (JSON.parse(output) as { pid: number }).pid
  }
  const add = (measure: string, peer: string, value: number) => {
    const byPeer = bench.samples.get(measure) ?? new Map<string, number[]>()
    bench.samples.set(measure, byPeer.set(peer, [value]))
  }
  try {
    // As an installed package runs: without the type stripper, which a start with a cold compile cache loads.
    for (const mesh of Object.values(meshes)) {
      await paios(mesh, 'up')
      await pause(WARM_MS)
      await paios(mesh, 'down')
    }
    for (const mesh of Object.values(meshes)) await paios(mesh, 'up')
    await pause(SETTLE_MS)
    bench.say(`example: ${SPAN_MS / 60_000} min`)
    const pids = { example: await pidOf(meshes.example), bare: await pidOf(meshes.bare) }
    const begun = performance.now()
    const before = { example: cpuWithChildrenMs(pids.example), bare: cpuWithChildrenMs(pids.bare) }
    await pause(SPAN_MS)
    const share = (name: 'example' | 'bare') =>
      ((cpuWithChildrenMs(pids[name]) - before[name]) / (performance.now() - begun)) * 100
    add('example CPU %', 'paios', share('example') - share('bare'))
    add('example CPU %', 'no services', share('bare'))
    const mib = (name: 'example' | 'bare') => pssBytes([pids[name]]) / 2 ** 20
    add('example PSS MiB', 'paios', mib('example') - mib('bare'))
    add('example PSS MiB', 'no services', mib('bare'))
  } finally {
    for (const mesh of Object.values(meshes)) await paios(mesh, 'down')
  }
}

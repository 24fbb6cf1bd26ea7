/**
 * `npm run bench`: paios, a minimal Node supervisor and pm2 side by side, and the bars that paios must meet.
 * `-- --json FILE` writes every sample, `-- --only core,rules,restart,up,down,status,footprint,logs` measures less,
 * `-- --quick` takes fewer samples, `-- --only example` measures the probes of the example mesh (17 min). Exit
 * code 1 if a bar is missed. Linux only, since it reads /proc.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureCore } from './core.ts'
import { measureExample } from './example.ts'
import {
  type Bench,
  measureFootprint,
  measureLogs,
  measureRestart,
  measureStatus,
  measureUpAndDown,
  type Samples,
  warmUp,
} from './measures.ts'
import { installPm2, openFloor, openPaios, openPm2, type Peer } from './peers.ts'
import { compileChild } from './processes.ts'
import { judge, table } from './report.ts'
import { measureRules } from './rules.ts'

const MEASURES = ['core', 'rules', 'restart', 'up', 'down', 'status', 'footprint', 'logs'] as const
/** Takes a quarter of an hour and needs every program of the example, so it is measured when it is asked for. */
const EXTRA = ['example'] as const

const { values } = parseArgs({
  options: { json: { type: 'string' }, only: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const wanted = new Set<string>(values.only?.split(',') ?? MEASURES)
for (const name of wanted) {
  const known: readonly string[] = [...MEASURES, ...EXTRA]
  if (!known.includes(name)) throw new Error(`no measure '${name}': ${known.join(', ')}`)
}

const say = (text: string) => void process.stderr.write(`${text}\n`)
const samples: Samples = new Map()
const began = { date: new Date().toISOString(), load: loadavg() }
const folder = mkdtempSync(join(tmpdir(), 'pb-'))
/** The flood goes to memory where it can, since a disk that writes back decides everything else. */
const logFolder = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/pb-') : folder

/** The pm2 package, null (and said so) where it cannot be had. */
async function findPm2(): Promise<string | null> {
  try {
    return await installPm2(join(tmpdir(), 'paios-bench-pm2'), process.execPath)
  } catch (error) {
    say(`\n*** pm2 IS LEFT OUT: it could not be installed ***\n${(error as Error).message}\n`)
    return null
  }
}

function openPeers(root: string, pm2: string | null, nodeOf: (name: string) => string): Peer[] {
  mkdirSync(root, { recursive: true })
  const peers = [openPaios(root, nodeOf('paios')), openFloor(root, nodeOf('floor'))]
  return pm2 === null ? peers : [...peers, openPm2(root, nodeOf('pm2'), pm2)]
}

/**
 * PSS shares out the pages of Node's binary among all that run it, so here each peer runs a copy of its own.
 */
function ownNode(name: string): string {
  const copy = join(folder, `node-${name}`)
  copyFileSync(process.execPath, copy)
  return copy
}

try {
  const child = join(folder, 'child')
  compileChild(join(import.meta.dirname, 'child.c'), child)
  const pm2 = await findPm2()
  const peers = openPeers(join(folder, 'a'), pm2, () => process.execPath)
  const bench: Bench = { peers, samples, child, folder, node: process.execPath, isQuick: values.quick, say }
  await warmUp(bench)
  if (wanted.has('core')) measureCore(bench)
  if (wanted.has('rules')) await measureRules(bench)
  if (wanted.has('example')) await measureExample(bench)
  if (wanted.has('restart')) await measureRestart(bench)
  if (wanted.has('up') || wanted.has('down')) {
    await measureUpAndDown(bench, { up: wanted.has('up'), down: wanted.has('down') })
  }
  if (wanted.has('status')) await measureStatus(bench)
  if (wanted.has('logs')) {
    const peers = openPeers(join(logFolder, 'c'), pm2, () => process.execPath)
    await measureLogs({ ...bench, peers })
  }
  if (wanted.has('footprint'))
    await measureFootprint({ ...bench, peers: openPeers(join(folder, 'b'), pm2, ownNode) })
} finally {
  for (const used of [folder, logFolder]) rmSync(used, { recursive: true, force: true })
}

const { lines, isMet } = judge(samples)
const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`
process.stdout.write(
  [
    `Node ${process.versions.node}, Linux ${release()}, ${machine}`,
    `load at start ${began.load[0]?.toFixed(2)}, at the end ${loadavg()[0]?.toFixed(2)}`,
    '',
    ...table(samples),
    '',
    ...lines,
    '',
  ].join('\n'),
)
if (values.json) {
  const raw = Object.fromEntries(
    [...samples].map(([measure, byPeer]) => [measure, Object.fromEntries(byPeer)]),
  )
  const about = { ...began, node: process.versions.node, kernel: release(), machine }
  writeFileSync(values.json, `${JSON.stringify({ ...about, samples: raw }, null, 1)}\n`)
}
process.exitCode = isMet ? 0 : 1

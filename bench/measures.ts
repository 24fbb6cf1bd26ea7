/** What is measured, one function each; the peers take turns within every round. */
import { existsSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { awaitLives, killAndTime, monotonicMs, removeLogs } from './children.ts'
import type { Mesh, Peer } from './peers.ts'
import { cpuMs, isRunning, kill, mustRun, pause, pssBytes, run } from './processes.ts'

/** Samples by measure and peer: milliseconds, bytes or a share, as the measure's name says. */
export type Samples = Map<string, Map<string, number[]>>

/** What every measure needs. */
export type Bench = {
  /** The supervisors; paios and the floor always, pm2 where it could be installed. */
  readonly peers: readonly Peer[]
  readonly samples: Samples
  /** The compiled child. */
  readonly child: string
  /** A temporary folder. */
  readonly folder: string
  /** The pinned Node. */
  readonly node: string
  readonly isQuick: boolean
  readonly say: (text: string) => void
}

const NO_PROBES = { probePort: null, metricsPort: null } as const
/**
 * A life counts as stable after 10 s; the supervisor may have seen the start a little later than the child
 * did.
 */
const STABLE_MS = 11_500

function add({ samples }: Bench, measure: string, peer: string, value: number): void {
  const byPeer = samples.get(measure) ?? new Map<string, number[]>()
  samples.set(measure, byPeer.set(peer, [...(byPeer.get(peer) ?? []), value]))
}

const logsOf = (peer: Peer, count: number) => Array.from({ length: count }, (_, index) => peer.logPath(index))

/**
 * Starts a mesh and waits for every child; gives the milliseconds from the command to the last first line.
 */
async function bringUp(peer: Peer, mesh: Mesh): Promise<{ ms: number; pids: number[] }> {
  const paths = logsOf(peer, mesh.count)
  removeLogs(paths)
  peer.declare(mesh)
  const begun = monotonicMs()
  const [lives] = await Promise.all([awaitLives(paths, new Map(), 10), peer.start()])
  return { ms: Math.max(...lives.map((life) => life.at)) - begun, pids: lives.map((life) => life.pid) }
}

/** Stops a peer and makes sure, by pid, that its children have ended. */
async function takeDown(peer: Peer, pids: readonly number[]): Promise<number> {
  const ms = await peer.stop()
  for (const pid of pids) if (isRunning(pid)) kill(pid, 'SIGKILL')
  return ms
}

/** Every peer up with the same mesh while `body` runs; all of them go down again, also when it fails. */
async function withAllUp(
  peers: readonly Peer[],
  meshOf: (peer: Peer) => Mesh,
  body: (pids: ReadonlyMap<Peer, number[]>) => Promise<void>,
) {
  const up = new Map<Peer, number[]>()
  try {
    for (const peer of peers) {
      up.set(peer, [])
      up.set(peer, (await bringUp(peer, meshOf(peer))).pids)
    }
    await body(up)
  } finally {
    for (const [peer, pids] of up) await takeDown(peer, pids)
  }
}

/** One start of each, so that nothing that is measured has to compile what a first start compiles. */
export async function warmUp(bench: Bench): Promise<void> {
  const mesh: Mesh = { count: 1, command: [bench.child, 'plain'], ...NO_PROBES }
  for (const peer of bench.peers) await takeDown(peer, (await bringUp(peer, mesh)).pids)
}

/** kill -9 of a child that has lived long enough, to the next one's first line. */
export async function measureRestart(bench: Bench): Promise<void> {
  const count = bench.isQuick ? 16 : 60
  const mesh: Mesh = { count, command: [bench.child, 'plain'], ...NO_PROBES }
  bench.say(`restart: ${count} children of each`)
  // Each child is killed once: a second death within minutes is no longer that of a stable child.
  await withAllUp(
    bench.peers,
    () => mesh,
    async (up) => {
      await pause(STABLE_MS)
      for (let index = 0; index < count; index++) {
        for (const [peer, pids] of up) {
          add(bench, 'restart ms', peer.name, await killAndTime(peer.logPath(index), pids[index]!))
          await pause(20)
        }
      }
    },
  )
}

/** The start command to the last child's first line, and `down`, beside a bare Node. */
export async function measureUpAndDown(bench: Bench, wanted: { up: boolean; down: boolean }): Promise<void> {
  for (const count of wanted.up ? [10, 100, 500] : [100]) {
    const rounds = bench.isQuick ? 3 : count === 500 ? 4 : 8
    const mesh: Mesh = { count, command: [bench.child, 'plain'], ...NO_PROBES }
    // The first round fills compile caches and is not counted.
    for (let round = 0; round <= rounds; round++) {
      bench.say(`bring-up of ${count}: round ${round} of ${rounds}`)
      for (const peer of bench.peers) {
        const { ms, pids } = await bringUp(peer, mesh)
        const downMs = await takeDown(peer, pids)
        if (round === 0) continue
        if (wanted.up) add(bench, `up ${count} ms`, peer.name, ms)
        if (wanted.down && count === 100) add(bench, 'down ms', peer.name, downMs)
      }
      if (wanted.down && count === 100 && round > 0) {
        for (let i = 0; i < 3; i++)
          add(bench, 'down ms', 'node -e 0', (await mustRun([bench.node, '-e', '0'], {})).ms)
      }
    }
  }
}

/** The command that shows 100 services as JSON, beside a bare Node. */
export async function measureStatus(bench: Bench): Promise<void> {
  const rounds = bench.isQuick ? 10 : 30
  const peers = bench.peers.filter((peer) => peer.status !== null)
  const mesh: Mesh = { count: 100, command: [bench.child, 'plain'], ...NO_PROBES }
  bench.say(`status: ${rounds} rounds`)
  await withAllUp(
    peers,
    () => mesh,
    async () => {
      for (let round = -2; round < rounds; round++) {
        const bare = await mustRun([bench.node, '-e', '0'], {})
        const shown: [string, number][] = [['node -e 0', bare.ms]]
        for (const peer of peers) shown.push([peer.name, (await run(peer.status ?? [], peer.env)).ms])
        if (round >= 0) for (const [name, ms] of shown) add(bench, 'status ms', name, ms)
      }
    },
  )
}

/** Memory and idle CPU of the supervisors with 100 services, without probes and with one HTTP probe each. */
export async function measureFootprint(bench: Bench): Promise<void> {
  const idleMs = bench.isQuick ? 20_000 : 60_000
  const server = await answerOk()
  try {
    for (const probed of [false, true]) {
      const probePort = probed ? (server.address() as AddressInfo).port : null
      const word = probed ? 'probes' : 'no probes'
      bench.say(`footprint, ${word}: ${idleMs / 1000} s of idling`)
      // Only paios probes and serves metrics; the floor and pm2 are the same in both runs.
      const meshOf = async (peer: Peer): Promise<Mesh> => ({
        count: 100,
        command: [bench.child, 'plain'],
        probePort,
        metricsPort: peer.name === 'paios' ? await freePort() : null,
      })
      const meshes = new Map(
        await Promise.all(bench.peers.map(async (peer) => [peer, await meshOf(peer)] as const)),
      )
      // The first start may compile; what is looked at is the second one.
      for (const peer of bench.peers) await takeDown(peer, (await bringUp(peer, meshes.get(peer)!)).pids)
      await withAllUp(
        bench.peers,
        (peer) => meshes.get(peer)!,
        async (up) => {
          await pause(bench.isQuick ? 5_000 : 15_000)
          const pids = new Map(
            await Promise.all([...up.keys()].map(async (peer) => [peer, await peer.pids()] as const)),
          )
          // In its first minute V8 compiles what has become hot: once in weeks, so it is a figure of its own.
          for (const phase of ['warm-up CPU %', 'idle CPU %']) {
            const before = new Map([...pids].map(([peer, own]) => [peer, cpuMs(own)]))
            const begun = performance.now()
            await pause(idleMs)
            for (const [peer, own] of pids) {
              const share = (cpuMs(own) - (before.get(peer) ?? 0)) / (performance.now() - begun)
              add(bench, `${phase} (${word})`, peer.name, share * 100)
              if (phase === 'warm-up CPU %')
                add(bench, `PSS MiB (${word})`, peer.name, pssBytes(own) / 2 ** 20)
            }
          }
        },
      )
    }
  } finally {
    server.close()
  }
}

async function answerOk(): Promise<Server> {
  const server = createServer((_, response) => response.end('ok\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

async function freePort(): Promise<number> {
  const server = await answerOk()
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** 256 MiB of log lines: the child's own time, and what the supervisor spends on it. */
export async function measureLogs(bench: Bench): Promise<void> {
  const rounds = bench.isQuick ? 5 : 25
  const go = (peer: Peer) => `${bench.folder}/go-${peer.name}`
  const done = (peer: Peer) => `${bench.folder}/done-${peer.name}`
  const meshOf = (peer: Peer): Mesh => ({
    count: 1,
    command: [bench.child, 'flood', go(peer), done(peer), String(rounds + 1)],
    ...NO_PROBES,
  })
  await withAllUp(bench.peers, meshOf, async (up) => {
    const own = new Map(
      await Promise.all([...up.keys()].map(async (peer) => [peer, await peer.pids()] as const)),
    )
    for (let round = 0; round <= rounds; round++) {
      bench.say(`logs: round ${round} of ${rounds}`)
      // Whoever comes first finds the memory coldest, so each peer does in turn.
      for (const [peer, pids] of rotated([...own], round)) {
        const before = cpuMs(pids)
        await mustRun(['/usr/bin/touch', `${go(peer)}.${round}`], {})
        while (!existsSync(`${done(peer)}.${round}`)) await pause(20)
        // pm2 still writes what it has read when the child is done.
        await pause(peer.name === 'pm2' ? 500 : 20)
        const cpu = cpuMs(pids) - before
        const ms = Number(readFileSync(`${done(peer)}.${round}`, 'utf8')) / 1e6
        for (const prefix of [go(peer), done(peer)]) rmSync(`${prefix}.${round}`)
        truncateSync(peer.logPath(0), 0)
        if (round === 0) continue
        add(bench, 'logs 256 MiB ms', peer.name, ms)
        add(bench, 'logs CPU ms', peer.name, cpu)
      }
    }
  })
}

const rotated = <T>(list: readonly T[], by: number): T[] =>
  list.map((_, index) => list[(index + by) % list.length]!)

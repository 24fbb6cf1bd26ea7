/** Real processes for tests of links: a program named claude, and servers that it starts. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'

/** A server that reads its stdin, or does not (`deaf`), or ignores SIGTERM as well (`stubborn`). */
const SERVER = `
const [, , kind] = process.argv
if (kind === 'polite') process.stdin.on('end', () => process.exit(0)).resume()
if (kind === 'stubborn') process.on('SIGTERM', () => undefined)
if (kind === 'parent') {
  const child = [process.execPath, ['-e', 'setInterval(() => undefined, 1000)', __dirname + '/child']]
  require('node:child_process').spawn(...child, { stdio: 'ignore', detached: true })
}
setInterval(() => undefined, 1000)
console.log('up')
`
/** Starts the servers that its arguments name as JSON, says \`up\` when all are, and stays. */
const CLAUDE = `#!${process.execPath}
const { spawn } = require('node:child_process')
const servers = JSON.parse(process.argv[2]).map(([program, ...args]) =>
  spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] }))
Promise.all(servers.map((server) => new Promise((done) => server.stdout.once('data', done))))
  .then(() => console.log(servers.map((server) => server.pid).join(' ')))
`

/** A folder with the programs, and the processes that were started in it; all end with the test. */
export function openWorld(t: TestContext) {
  const folder = mkdtempSync('/tmp/ln-')
  const home = join(folder, 'home')
  mkdirSync(home)
  const server = join(folder, 'server.cjs')
  const claude = join(folder, 'claude')
  writeFileSync(server, SERVER)
  writeFileSync(claude, CLAUDE)
  chmodSync(claude, 0o755)
  const started: ChildProcess[] = []
  const groups = new Set<number>()
  t.after(() => {
    for (const group of groups) endGroup(group)
    for (const pid of pidsOf(folder)) end(pid)
    rmSync(folder, { recursive: true })
  })
  const begin = async (argv: readonly string[], env: Record<string, string> = {}) => {
    const [program = '', ...args] = argv
    const child = spawn(program, args, {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: '/usr/bin:/bin', ...env },
    })
    started.push(child)
    if (child.pid !== undefined) groups.add(child.pid)
    const [said] = (await once(child.stdout!, 'data')) as [Buffer]
    return { child, pid: child.pid!, said: String(said).trim() }
  }
  return {
    folder,
    home,
    /** The command of a server; extra words make it another one. */
    command: (kind: string, ...more: string[]) => [process.execPath, server, kind, ...more],
    /** Starts a program; resolves with its first words. */
    begin,
    /** A client with these servers: itself, and their pids. */
    async client(...commands: readonly (readonly string[])[]) {
      const { child, pid, said } = await begin([claude, JSON.stringify(commands)])
      return { child, pid, servers: said.split(' ').map(Number) }
    },
    /** Writes what claude has registered. */
    register(servers: Readonly<Record<string, readonly string[]>>, env: Record<string, string> = {}) {
      const entries = Object.entries(servers).map(([name, [command, ...args]]) => [
        name,
        { command, args, env },
      ])
      writeFileSync(join(home, '.claude.json'), JSON.stringify({ mcpServers: Object.fromEntries(entries) }))
    },
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
const endGroup = (group: number) => end(-group)

/** What `ps` knows of processes whose arguments hold this text; itself left out. */
export function pidsOf(text: string): number[] {
  const lines = execFileSync('ps', ['-axww', '-o', 'pid=', '-o', 'args='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => line.includes(text)).map((line) => Number.parseInt(line, 10))
}

/** True while the process runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    const state = execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    return state !== '' && !state.startsWith('Z')
  } catch {
    return false
  }
}

/** Waits for what no event tells; fails after 10 s. */
export async function until<T>(what: string, look: () => T | null | false): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = look()
    if (found) return found
    await wait(50)
  }
  throw new Error(`never: ${what}`)
}

/**
 * A real `systemd --user` for tests, in namespaces of its own and in a cgroup of its own, so that it needs no boot,
 * no session and no bus, and takes everything with it when it ends. Needs root.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Ended, until } from './e2e/mesh.ts'

const SYSTEMD = '/usr/lib/systemd/systemd'
const SCRIPT = resolve(import.meta.dirname, 'fixtures/systemd-user.sh')
const RUNTIME = '/run/user/0'

/** Why there can be none here, null if there can. On CI it must be there: a missing one is installed or a failure. */
export function whyNoSystemd(): string | null {
  if (process.platform !== 'linux') return 'NOT RUN: systemd is for Linux'
  if (process.getuid?.() !== 0) return 'NOT RUN: only root makes the namespaces that this systemd lives in'
  if (!existsSync(SYSTEMD)) {
    try {
      execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'systemd'], { stdio: 'pipe' })
    } catch (error) {
      if (process.env['CI'] !== undefined) throw error
      return `NOT RUN: systemd is not installed and cannot be: ${(error as Error).message}`
    }
  }
  const mounts = readFileSync('/proc/mounts', 'utf8')
  return cgroupRoot(mounts) === null ? 'NOT RUN: no cgroup2 is mounted here' : null
}

const cgroupRoot = (mounts: string) => / (\S+) cgroup2 /.exec(mounts)?.[1] ?? null

/** A running systemd of a user whose home is `home`. */
export type Systemd = {
  /** Runs a program beside it, with this environment and nothing else. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>
  systemctl(...args: readonly string[]): Promise<Ended>
  /** One property of a unit. */
  show(unit: string, property: string): Promise<string>
  /** Every process in its namespace: pid as seen there, and its command line. */
  processes(): Promise<{ readonly pid: number; readonly text: string }[]>
  end(): Promise<void>
}

/** Starts it and waits until systemctl answers. */
export async function startSystemd(home: string): Promise<Systemd> {
  const cgroup = join(cgroupRoot(readFileSync('/proc/mounts', 'utf8'))!, `paios-test-${process.pid}`)
  mkdirSync(cgroup)
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--cgroup']
  const enter = `echo $$ > "$0" && exec unshare ${namespaces.join(' ')} /bin/sh "$@"`
  const args = ['-c', enter, join(cgroup, 'cgroup.procs'), SCRIPT, home, RUNTIME]
  const outside = spawn('/bin/sh', args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true })
  const inside = await until('the namespace', () => firstChild(outside.pid!))
  const run: Systemd['run'] = (program, words, env = {}) =>
    new Promise((settle) => {
      const all = { HOME: home, PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', XDG_RUNTIME_DIR: RUNTIME, ...env }
      const command = ['-t', String(inside), '-m', '-p', '-C', '--', program, ...words]
      execFile('nsenter', command, { env: all, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        settle({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr })
      })
    })
  const systemctl = (...words: readonly string[]) => run('systemctl', ['--user', ...words])
  await until(
    'systemd answers',
    async () => (await systemctl('is-system-running')).stdout.trim() === 'running',
  )
  return {
    run,
    systemctl,
    show: async (unit, property) => (await systemctl('show', unit, '--value', '-p', property)).stdout.trim(),
    async processes() {
      const { stdout } = await run('ps', ['axww', '-o', 'pid=,stat=,command='])
      return stdout.split('\n').flatMap((line) => {
        const match = /^\s*(\d+)\s+([^Z]\S*)\s+(.*)$/.exec(line)
        return match ? [{ pid: Number(match[1]), text: match[3]! }] : []
      })
    },
    async end() {
      outside.kill('SIGKILL')
      await until('the cgroup is empty', () => isGone(cgroup))
    },
  }
}

function firstChild(pid: number): number | null {
  const text = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' })
  const line = text
    .split('\n')
    .find((one) => one.trim().split(/\s+/)[1] === String(pid) && one.includes(SCRIPT))
  return line === undefined ? null : Number.parseInt(line, 10)
}

/** Removes a cgroup with those below it once no process is in them. */
function isGone(cgroup: string): boolean {
  if (!existsSync(cgroup)) return true
  try {
    for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
      if (entry.isDirectory()) isGone(join(cgroup, entry.name))
    }
    rmdirSync(cgroup)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
  }
  return !existsSync(cgroup)
}

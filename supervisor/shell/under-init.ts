/**
 * A supervisor that systemd or launchd started: what its end means to them, and how systemd is told that it
 * is ready and alive. The unit and the plist say who starts it by PAIOS_BOOT; INVOCATION_ID and
 * XPC_SERVICE_NAME would be inherited by a terminal, too.
 */
import { execFile } from 'node:child_process'
import { loadQuietly } from './posix-spawn.ts'

/** Who starts the supervisor at login or boot. */
export type Init = 'systemd' | 'launchd'

/** What systemd does not restart; the unit names the number. */
const MUST_NOT_RUN = 77

/** Who started this supervisor, null for a keeper, a terminal or a container. */
export function startedBy(env: NodeJS.ProcessEnv = process.env): Init | null {
  const name = env['PAIOS_BOOT']
  return name === 'systemd' || name === 'launchd' ? name : null
}

/**
 * What to exit with, so that nobody starts it again in vain: an invalid document (3) and another supervisor
 * (5) are 77 under systemd and 0 under launchd, which restarts everything else. No exit code is changed
 * without them.
 */
export function exitUnder(init: Init | null, code: number): number {
  if (init === null || (code !== 3 && code !== 5)) return code
  return init === 'systemd' ? MUST_NOT_RUN : 0
}

/**
 * The first line of a start, on stderr, which unit and plist lead into the boot log: an empty boot log means that the
 * failure was before our code.
 */
export function announce(init: Init, version: string): void {
  process.stderr.write(`${new Date().toISOString()} pid ${process.pid} paios ${version} started by ${init}\n`)
}

/** Tells systemd; every call does nothing where nobody listens. */
export type Notifier = {
  ready(): void
  /** To be called often; sends at most one message in a third of the watchdog's time. */
  beat(): void
  stopping(): void
}

/** The notifier of this process. `env` has NOTIFY_SOCKET and WATCHDOG_USEC where systemd started it. */
export function openNotifier(env: NodeJS.ProcessEnv = process.env): Notifier {
  const socket = env['NOTIFY_SOCKET']
  if (!socket) return { ready: () => undefined, beat: () => undefined, stopping: () => undefined }
  const send = datagrams(socket) ?? byProgram(socket)
  const everyMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000 / 3
  let next = 0
  return {
    ready: () => send('READY=1'),
    beat() {
      if (!(everyMs > 0) || performance.now() < next) return
      next = performance.now() + everyMs
      send('WATCHDOG=1')
    },
    stopping: () => send('STOPPING=1'),
  }
}

type Send = (message: string) => void
const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 0x80002
const MSG_DONTWAIT_NOSIGNAL = 0x4040

/**
 * By the C library's sendto, since Node has no Unix datagrams; null where Node's node:ffi is not to be had.
 */
function datagrams(path: string): Send | null {
  if (process.platform !== 'linux') return null
  try {
    const { DynamicLibrary } = loadQuietly()
    const library = new DynamicLibrary(null)
    const open = library.getFunction('socket', { arguments: ['int32', 'int32', 'int32'], return: 'int32' })
    const sendTo = library.getFunction('sendto', {
      arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'],
      return: 'int64',
    })
    const descriptor = open(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
    if (descriptor < 0) return null
    const address = socketAddress(path)
    return (message) => {
      const bytes = Buffer.from(message)
      sendTo(descriptor, bytes, BigInt(bytes.length), MSG_DONTWAIT_NOSIGNAL, address, address.length)
    }
  } catch {
    // A Node built without it, or a C library without one of the functions.
    return null
  }
}

/** struct sockaddr_un; a leading @ means the abstract namespace. */
function socketAddress(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`)
  const address = Buffer.alloc(2 + name.length)
  address.writeUInt16LE(AF_UNIX, 0)
  name.copy(address, 2)
  return address
}

/** By systemd's own program, 5 to 9 ms each. */
function byProgram(socket: string): Send {
  return (message) => {
    const env = { NOTIFY_SOCKET: socket, PATH: process.env['PATH'] ?? '/usr/bin:/bin' }
    const child = execFile('systemd-notify', [message], { env, timeout: 5_000 })
    // Without the program systemd is told nothing, and says so itself.
    child.on('error', () => undefined)
  }
}

/**
 * The C library's posix_spawn, called directly. Node starts a process by fork, which copies the page tables of
 * all private memory: 3.6 ms in a process with 50 MiB of it, where posix_spawn, which shares the memory until the
 * program is loaded, takes 0.4 (both measured in one virtual machine). Linux only: on macOS Node itself calls
 * posix_spawn. Node's foreign function interface is experimental, so whatever it lacks or refuses leads back
 * to Node's own spawn. The numbers below are those of glibc and musl on 64-bit Linux.
 */
import type { DynamicLibrary } from 'node:ffi'
import { constants } from 'node:os'

/** `path`: absolute; `argv`: with the name it goes by; `output`: file descriptor for stdout and stderr. */
export type Program = {
  readonly path: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly output: number
}

/** How a process ended: exit code or signal name. */
export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type PosixSpawn = {
  /** Starts it in a session of its own, stdin on /dev/null, no signal blocked or ignored; null if it could not. */
  start(program: Program): number | null
  /** Pid of one of this process's children that has ended and was not reaped, whoever started it; null: none. */
  ended(): number | null
  /** How a child that was started here has ended; null while it runs. Asked again, it is nobody's child. */
  reap(pid: number): Ended | null
}

const SETSIGDEF = 0x04
const SETSIGMASK = 0x08
const SETSID = 0x80
const WNOHANG = 0x01
const WEXITED = 0x04
const WNOWAIT = 0x0100_0000
const P_ALL = 0
/** Where siginfo_t keeps the pid of a child, on 64-bit Linux. */
const SIGINFO_PID = 16
/** Room for posix_spawnattr_t (336 bytes) and posix_spawn_file_actions_t (80), with a margin. */
const STRUCT_BYTES = 1_024
const SIGSET_BYTES = 128
const POINTER_BYTES = 8
/** Takes a pid, a wait status or a siginfo_t (128 bytes). */
const RESULT_BYTES = 128

/** The first of two names counts, as with Node's own spawn: SIGABRT and not SIGIOT, SIGIO and not SIGPOLL. */
const SIGNALS = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
)

/** Opens it, null where it is not to be had. */
export function openPosixSpawn(platform: NodeJS.Platform = process.platform): PosixSpawn | null {
  if (platform !== 'linux' || process.arch === 'arm' || process.arch === 'ia32') return null
  try {
    return bind(loadQuietly())
  } catch {
    // A Node built without it, or a C library without one of the functions.
    return null
  }
}

type Ffi = typeof import('node:ffi')

/** Node warns whoever runs the program that the module is experimental; an operator can do nothing with that. */
export function loadQuietly(): Ffi {
  const { emitWarning } = process
  process.emitWarning = () => undefined
  try {
    const ffi = process.getBuiltinModule('node:ffi')
    if (ffi === undefined) throw new Error('this Node has no node:ffi')
    return ffi
  } finally {
    process.emitWarning = emitWarning
  }
}

function bind(ffi: Ffi): PosixSpawn {
  const library = new ffi.DynamicLibrary(null)
  const actions = fileActions(library)
  const attributes = spawnAttributes(library)
  const spawn = library.getFunction('posix_spawn', {
    arguments: ['buffer', 'buffer', 'buffer', 'buffer', 'buffer', 'buffer'],
    return: 'int32',
  })
  const waitpid = library.getFunction('waitpid', { arguments: ['int32', 'buffer', 'int32'], return: 'int32' })
  const waitid = library.getFunction('waitid', {
    arguments: ['int32', 'uint32', 'buffer', 'int32'],
    return: 'int32',
  })
  const result = Buffer.alloc(RESULT_BYTES)
  return {
    start({ path, argv, env, cwd, output }) {
      const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
      const texts = [path, cwd, ...argv, ...variables]
      if (texts.some((text) => text.includes('\0'))) return null
      const set = actions(cwd, output)
      try {
        const [args, environment] = [textList(ffi, argv), textList(ffi, variables)]
        const error = spawn(result, cText(path), set.buffer, attributes, args, environment)
        return error === 0 ? result.readInt32LE(0) : null
      } finally {
        set.destroy()
      }
    },
    ended() {
      // Where there is none, the pid is left as it was.
      result.fill(0)
      const failed = waitid(P_ALL, 0, result, WEXITED | WNOHANG | WNOWAIT) !== 0
      return failed ? null : result.readInt32LE(SIGINFO_PID) || null
    },
    reap(pid) {
      if (waitpid(pid, result, WNOHANG) !== pid) return null
      return endOf(result.readInt32LE(0))
    },
  }
}

/** The wait status of waitpid: the low 7 bits are the signal, the next byte is the exit code. */
function endOf(status: number): Ended {
  const signal = status & 0x7f
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: null }
  return { code: null, signal: SIGNALS.get(signal) ?? null }
}

const cText = (text: string) => Buffer.from(`${text}\0`)

/** A null-terminated array of pointers, followed by the texts that they point to. */
function textList(ffi: Ffi, texts: readonly string[]): Buffer {
  const encoded = texts.map(cText)
  let at = (texts.length + 1) * POINTER_BYTES
  const list = Buffer.alloc(encoded.reduce((sum, text) => sum + text.length, at))
  const base = ffi.getRawPointer(list)
  for (const [index, text] of encoded.entries()) {
    list.writeBigUInt64LE(base + BigInt(at), index * POINTER_BYTES)
    at += text.copy(list, at)
  }
  return list
}

/** A session of its own, every signal at its default and none blocked. Node itself ignores SIGPIPE. */
function spawnAttributes(library: DynamicLibrary): Buffer {
  const set = (name: string, type: 'int16' | 'buffer') =>
    library.getFunction(`posix_spawnattr_${name}`, { arguments: ['buffer', type], return: 'int32' })
  const attributes = Buffer.alloc(STRUCT_BYTES)
  const init = library.getFunction('posix_spawnattr_init', { arguments: ['buffer'], return: 'int32' })
  const failed =
    init(attributes) ||
    set('setflags', 'int16')(attributes, (SETSID | SETSIGDEF | SETSIGMASK) as never) ||
    set('setsigdefault', 'buffer')(attributes, Buffer.alloc(SIGSET_BYTES, 0xff) as never) ||
    set('setsigmask', 'buffer')(attributes, Buffer.alloc(SIGSET_BYTES) as never)
  if (failed) throw new Error(`posix_spawnattr: error ${failed}`)
  return attributes
}

type FileActions = (cwd: string, output: number) => { readonly buffer: Buffer; destroy(): void }

/** stdin on /dev/null, stdout and stderr on one descriptor, and the working folder. */
function fileActions(library: DynamicLibrary): FileActions {
  const prefix = 'posix_spawn_file_actions'
  const init = library.getFunction(`${prefix}_init`, { arguments: ['buffer'], return: 'int32' })
  const destroy = library.getFunction(`${prefix}_destroy`, { arguments: ['buffer'], return: 'int32' })
  const chdir = library.getFunction(`${prefix}_addchdir_np`, {
    arguments: ['buffer', 'buffer'],
    return: 'int32',
  })
  const duplicate = library.getFunction(`${prefix}_adddup2`, {
    arguments: ['buffer', 'int32', 'int32'],
    return: 'int32',
  })
  const open = library.getFunction(`${prefix}_addopen`, {
    arguments: ['buffer', 'int32', 'buffer', 'int32', 'uint32'],
    return: 'int32',
  })
  const nothing = cText('/dev/null')
  return (cwd, output) => {
    const buffer = Buffer.alloc(STRUCT_BYTES)
    const failed =
      init(buffer) ||
      open(buffer, 0, nothing, 0, 0) ||
      duplicate(buffer, output, 1) ||
      duplicate(buffer, output, 2) ||
      chdir(buffer, cText(cwd))
    if (failed) throw new Error(`${prefix}: error ${failed}`)
    return { buffer, destroy: () => void destroy(buffer) }
  }
}

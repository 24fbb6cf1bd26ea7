/** The real Claude Code and Codex under a real supervisor, in a user's home that is none. */
import { execFile } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ServiceStatus } from '../../schemas/status.ts'
import { brainPath } from '../brains.ts'
import type { Ended, TestMesh } from './mesh.ts'
import { openMesh, writeDocument } from './run-cli.ts'

/** One mesh with one session in it, and the home of the user that it belongs to. */
export type SessionMesh = {
  readonly mesh: TestMesh
  /** The user's home. */
  readonly home: string
  /** The program's place, of which a test may take it away. */
  readonly program: string
  /** Writes a file below the user's home, 0600. */
  put(path: string, content: string | object): string
  up(): Promise<Ended>
  /** Waits until the service shows a state and a reason or note that matches. */
  until(state: ServiceStatus['state'], text: RegExp): Promise<ServiceStatus>
  /** Folders of canaries, and processes beside keeper and supervisor. */
  left(): string[]
}

/** Declares a session of `preset` under its own id; the program is linked into the user's home. */
export function openSession(
  t: Pick<TestContext, 'after'>,
  preset: 'claude-code' | 'codex',
  program: string,
  settings: Readonly<Record<string, unknown>> = {},
): SessionMesh {
  const mesh = openMesh(t)
  const home = join(mesh.home, 'user')
  const link = join(home, 'bin', preset)
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(program, link)
  const service = { preset, program: link, env: { PATH: brainPath() }, ...settings }
  writeDocument(
    mesh,
    JSON.stringify({ version: 1, metrics: { enabled: false }, services: { [preset]: service } }),
  )
  return {
    mesh,
    home,
    program: link,
    put(path, content) {
      const file = join(home, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
      return file
    },
    up: () => mesh.cli(['up'], { HOME: home }),
    until: (state, text) =>
      mesh.untilService(
        preset,
        `${state} ${text}`,
        (one) => one.state === state && text.test(`${one.reason ?? ''} ${one.note ?? ''}`),
      ),
    left() {
      const own = [mesh.supervisorPid(), mesh.keeperPid()]
      const cache = join(mesh.home, 'cache')
      return [
        ...readdirSync(cache).filter((name) => name.startsWith('canary-')),
        ...mesh
          .processes()
          .filter(({ pid }) => !own.includes(pid))
          .map(({ text }) => text.slice(0, 200)),
      ]
    },
  }
}

/** A login of Claude Code and one of Codex, of no use to anybody. */
export const CLAUDE_LOGIN = {
  claudeAiOauth: {
    accessToken: 'sk-ant-oat01-fake',
    refreshToken: 'sk-ant-ort01-fake',
    expiresAt: Date.now() - 86_400_000,
    scopes: ['user:inference'],
    subscriptionType: 'max',
  },
}
const jwt = (claims: object) =>
  ['{"alg":"none"}', JSON.stringify(claims), 'x']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
export const CODEX_LOGIN = {
  auth_mode: 'chatgpt',
  OPENAI_API_KEY: null,
  tokens: {
    id_token: jwt({ exp: 1_700_000_000 }),
    access_token: jwt({ exp: 1_700_000_000 }),
    refresh_token: 'fake',
    account_id: 'nobody',
  },
  last_refresh: '2026-01-01T00:00:00Z',
}

/** Older than its last change, so that the kernel notes the next reading even where it notes only the first. */
const dateBack = (file: string) => utimesSync(file, 1_000_000_000, 1_000_000_001)

/** A look at a file's bytes, and at the time at which anybody but this function last read it. */
export function evidenceOf(
  file: string,
): () => { bytes: string; changed: number; read: number; inode: number } {
  dateBack(file)
  return () => {
    const { mtimeMs, atimeMs, ino } = statSync(file)
    const bytes = readFileSync(file, 'utf8')
    dateBack(file)
    return { changed: mtimeMs, read: atimeMs, inode: ino, bytes }
  }
}

/** True if readings are noted on the file system of this file. */
export function notesReadings(file: string): boolean {
  const look = evidenceOf(file)
  const { read } = look()
  readFileSync(file)
  return look().read !== read
}

/** Runs a program to its end in a home, cut off from the network; the exit code and both outputs. */
export function runIn(home: string, argv: readonly string[]): Promise<Ended> {
  const [program = '', ...args] = argv
  const env = {
    PATH: brainPath(),
    HOME: home,
    CODEX_HOME: join(home, '.codex'),
    HTTPS_PROXY: 'http://127.0.0.1:1',
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
  }
  return new Promise((settle) => {
    const child = execFile(program, args, { env, cwd: home, timeout: 60_000 }, (error, stdout, stderr) =>
      settle({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr }),
    )
    child.stdin?.end()
  })
}

/**
 * Scratch homes for canaries: a brain that runs in one finds no login, no settings and no server of the real home,
 * and whatever it writes goes away with it.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProbeTarget } from './probe.ts'

/** A port that no ordinary program may listen on: what a canary sends to its vendor ends here. */
const CLOSED = 'http://127.0.0.1:1'

/** A folder that exists for one check; `remove` rejects with the system's error. */
export type Scratch = { readonly path: string; remove(): Promise<void> }

const prefixOf = (service: string, pid: number | string) => `canary-${service}-${pid}-`

/** Makes a home (0700) with a folder for temporary files below the target's cache. */
export async function openScratch({ cacheDir, service }: ProbeTarget): Promise<Scratch> {
  await mkdir(cacheDir, { recursive: true, mode: 0o700 })
  const path = await mkdtemp(join(cacheDir, prefixOf(service, process.pid)))
  await mkdir(join(path, 'tmp'), { mode: 0o700 })
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** Removes what canaries of a supervisor that was killed have left. Only one supervisor uses a cache. */
export async function sweepScratch({ cacheDir, service }: ProbeTarget): Promise<void> {
  const names = await readdir(cacheDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const left = new RegExp(`^${prefixOf(service, '(\\d+)')}[A-Za-z0-9]{6}$`)
  for (const name of names) {
    const pid = left.exec(name)?.[1]
    if (pid === undefined || Number(pid) === process.pid) continue
    await rm(join(cacheDir, name), { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The environment of a scratch home: every place of the user is inside it, and no network is to be reached. */
export function scratchEnvironment(path: string): Record<string, string | null> {
  return {
    'ANTHROPIC_*': null,
    'CLAUDE_*': null,
    'CODEX_*': null,
    'OPENAI_*': null,
    'XDG_*': null,
    NO_PROXY: null,
    no_proxy: null,
    HOME: path,
    TMPDIR: join(path, 'tmp'),
    HTTP_PROXY: CLOSED,
    HTTPS_PROXY: CLOSED,
    ALL_PROXY: CLOSED,
    http_proxy: CLOSED,
    https_proxy: CLOSED,
    all_proxy: CLOSED,
    ANTHROPIC_BASE_URL: CLOSED,
    NO_COLOR: '1',
  }
}

/** A real Prometheus for tests, of Debian's package, on a port of its own of this machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Labels } from '../supervisor/core/evaluate.ts'
import { findDebian } from './debian.ts'
import { until } from './e2e/mesh.ts'

/** The programs, null (and said so on stderr) where they cannot be had. */
export const promtool: string | null = findDebian('prometheus', 'promtool')
const program = findDebian('prometheus', 'prometheus')

/** Samples of one series: [Unix seconds, value as text]. */
export type Found = { readonly metric: Labels; readonly values: readonly (readonly [number, string])[] }

export type Prometheus = {
  /** `start`, `end`: Unix seconds. */
  range(query: string, start: number, end: number, step: number): Promise<readonly Found[]>
  instant(query: string): Promise<readonly Found[]>
  get(path: string): Promise<unknown>
  end(): Promise<void>
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts one over `data` with this configuration, and waits until it answers. */
export async function startPrometheus(folder: string, config: string, data: string): Promise<Prometheus> {
  if (program === null) throw new Error('there is no prometheus')
  const port = await freePort()
  const path = join(folder, 'prometheus.yml')
  writeFileSync(path, config)
  const child = spawn(
    program,
    [
      `--config.file=${path}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=10y',
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const ended = once(child, 'exit')
  const base = `http://127.0.0.1:${port}`
  const get = async (where: string) => {
    const answer = await fetch(`${base}${where}`)
    const body = (await answer.json()) as { status: string; error?: string; data: unknown }
    if (body.status !== 'success') throw new Error(`${decodeURIComponent(where)}: ${body.error}`)
    return body.data
  }
  const results = async (where: string) =>
    ((await get(where)) as { result: (Found & { value?: readonly [number, string] })[] }).result
  await until('prometheus answers', () =>
    fetch(`${base}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  return {
    range: (query, start, end, step) =>
      results(
        `/api/v1/query_range?query=${encodeURIComponent(query)}&start=${start}&end=${end}&step=${step}`,
      ),
    async instant(query) {
      const found = await results(`/api/v1/query?query=${encodeURIComponent(query)}`)
      return found.map(({ metric, value }) => ({ metric, values: value ? [value] : [] }))
    },
    get,
    async end() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** What the tests of the command line need beside the mesh itself: documents as text, ports, disks of a size. */
import { execFileSync } from 'node:child_process'
import { statfsSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Status } from '../../schemas/status.ts'
import { createMesh, kill, type TestMesh, until } from './mesh.ts'

/** A program that stays, ends at SIGTERM, and takes the tag that the mesh adds as a word that means nothing. */
export const SLEEPER: readonly string[] = ['/bin/sh', '-c', 'exec sleep 100000']

/** A mesh that ends with the test, whatever happens in it. */
export function openMesh(t: Pick<TestContext, 'after'>): TestMesh {
  const mesh = createMesh()
  t.after(() => mesh.end())
  return mesh
}

/** The text or the bytes of paios.yaml. */
export function writeDocument(mesh: TestMesh, text: string | Uint8Array): void {
  writeFileSync(join(mesh.home, 'paios.yaml'), text, { mode: 0o600 })
}

/** The pid of every service by name, null where none runs. */
export function pidsOf(status: Status): Record<string, number | null> {
  return Object.fromEntries(status.services.map(({ name, pid }) => [name, pid]))
}

/** A stranger that listens on a loopback port of the system's choice until the test ends. */
export async function listenOnLoopback(t: Pick<TestContext, 'after'>): Promise<number> {
  const server: Server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return portOf(server)
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/** A mesh whose home is a disk of its own, this large; only root may mount one. */
export function openMeshOnDisk(t: Pick<TestContext, 'after'>, sizeMiB: number): TestMesh {
  const mesh = createMesh()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=700`, 'tmpfs', mesh.home])
  t.after(async () => {
    await mesh.cli(['down'])
    for (const { pid } of mesh.processes()) kill(pid)
    await until('the disk is idle', () => mesh.processes().length === 0)
    execFileSync('umount', [mesh.home])
    await mesh.end()
  })
  return mesh
}

/** Bytes that are left on the disk of a folder. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

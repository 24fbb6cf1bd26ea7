/** The mesh document as commands need it. The schemas are heavy and load only when a document is parsed. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { MeshConfig, MeshResult } from '../config.ts'

/** The document of a home. */
export function documentPath(home: string): string {
  return join(home, 'paios.yaml')
}

/** Reads and checks a document. Throws PaiosError where it cannot be read; problems in it are a result. */
export async function checkDocument(path: string): Promise<MeshResult> {
  const { readDocument } = await import('../document/file.ts')
  return checkText(readDocument(path))
}

/** Checks a document that was read, or that is not written yet. */
export async function checkText(text: Uint8Array | string): Promise<MeshResult> {
  const [{ parseMesh }, { presets }] = await Promise.all([
    import('../config.ts'),
    import('../../services/index.ts'),
  ])
  return parseMesh(text, { home: homedir(), presets })
}

/** The mesh of a valid result; throws PaiosError `document-invalid` with every problem otherwise. */
export async function validMesh(path: string, result: MeshResult): Promise<MeshConfig> {
  if (result.ok) return result.mesh
  const { documentError } = await import('../document/problem.ts')
  throw documentError(path, result.problems)
}

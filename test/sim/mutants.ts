/** Copies of the core with one planted bug each: the checkers are only worth what they catch. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Options, type Outcome, runSeed } from './simulator.ts'
import type { Core } from './world.ts'

/** One patch in `mutants/`. `bug`: its first line, what is wrong in words. */
export type Mutant = { readonly slug: string; readonly bug: string; readonly patch: string }

const PATCHES = fileURLToPath(new URL('./mutants/', import.meta.url))
const CORE = fileURLToPath(new URL('../../supervisor/core/', import.meta.url))

/** Bugs that supervisors really had, and some that this core had. */
export const mutants: readonly Mutant[] = readdirSync(PATCHES)
  .sort()
  .map((name) => {
    const patch = join(PATCHES, name)
    const [bug = ''] = readFileSync(patch, 'utf8').split('\n')
    return { slug: basename(name, '.patch'), bug, patch }
  })

/** The core with this bug, from a copy in a temporary folder. Throws if the patch does not apply any more. */
export async function loadMutant({ slug, patch }: Mutant): Promise<Core> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'paios-mutant-')))
  try {
    const core = join(folder, 'supervisor/core')
    cpSync(CORE, core, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    apply(folder, slug, patch)
    return (await import(pathToFileURL(join(core, 'step.ts')).href)) as Core
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * The first of `count` seeds in which the checkers catch this bug; null if it survives. Throws if they complain of the
 * real core in that seed, too: then it was not the bug that they caught.
 */
export async function hunt(mutant: Mutant, count: number, options: Options): Promise<Outcome | null> {
  const core = await loadMutant(mutant)
  for (let seed = 1; seed <= count; seed++) {
    const outcome = runSeed(seed, { ...options, core })
    if (outcome.violation === null) continue
    const { violation } = runSeed(seed, options)
    if (violation !== null) throw new Error(`seed ${seed} fails without a mutant: ${violation}`)
    return outcome
  }
  return null
}

function apply(folder: string, slug: string, patch: string): void {
  const before = textOf(folder)
  // A repository around the folder would make git pass over the files there without a word.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: join(folder, '..'), GIT_DIR: undefined }
  try {
    execFileSync('git', ['apply', patch], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (cause) {
    throw new Error(`test/sim/mutants/${slug}.patch does not apply to the core any more`, { cause })
  }
  if (textOf(folder) === before) throw new Error(`test/sim/mutants/${slug}.patch changes nothing in the core`)
}

const textOf = (folder: string) =>
  readdirSync(join(folder, 'supervisor/core'))
    .map((name) => readFileSync(join(folder, 'supervisor/core', name), 'utf8'))
    .join('\0')

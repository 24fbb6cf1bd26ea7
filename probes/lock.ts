/** Who holds a lock file. */
import { glob, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { valueAt } from './dotted-path.ts'
import { defineProbe, fail, pass, unknown } from './probe.ts'
import { isAlive, nameProcess } from './process-table.ts'

/** The pid that a lock file names, null if the file is gone, a text if it cannot be told. */
async function holderOf(file: string, pidField: string): Promise<number | null | string> {
  try {
    const pid = valueAt(JSON.parse(await readFile(file, 'utf8')), pidField)
    return Number.isSafeInteger(pid) && (pid as number) > 0
      ? (pid as number)
      : `${file} has no pid in ${pidField}`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? null : `${file} cannot be read: ${code ?? 'not JSON'}`
  }
}

/**
 * Reads the pid from a lock file. `free`: no living process outside the service's own tree holds it; `ours`:
 * a process of the tree does. A `*` in the path matches within one component. The start time that some
 * programs write beside the pid is not used: its unit differs between systems.
 */
export const lock = defineProbe(
  'lock',
  ({ z }) => ({
    file: z.string().min(1),
    format: z.literal('json').default('json'),
    pidField: z.string().min(1).default('pid'),
    expect: z.enum(['free', 'ours']).default('free'),
  }),
  async ({ file, pidField, expect }, target) => {
    const path = file.replace(/^~\//, `${homedir()}/`)
    return {
      async check(signal) {
        const files = path.includes('*') ? await Array.fromAsync(glob(path)) : [path]
        const tree = await target.tree()
        const stale: string[] = []
        let ours: number | null = null
        for (const found of files.sort()) {
          const pid = await holderOf(found, pidField)
          if (typeof pid === 'string') return unknown(pid)
          if (pid === null) continue
          if (tree.includes(pid)) ours = pid
          else if (await isAlive(pid))
            return fail(`${found} is held by ${await nameProcess(pid, target, signal)}`)
          else stale.push(`stale lock ${found} of pid ${pid}, which is gone`)
        }
        if (expect === 'ours' && ours === null) return fail(stale[0] ?? `no lock file at ${path}`)
        return pass(ours === null ? (stale[0] ?? null) : `held by our own pid ${ours}`)
      },
      close: () => Promise.resolve(),
    }
  },
)

/** Room on the file system that holds a path. */
import { statfs } from 'node:fs/promises'
import { sizeText } from './figures.ts'
import { homePath } from './home-path.ts'
import { defineProbe, fail, pass, unknown } from './probe.ts'

/** What a full disk spoils first is reserved for root, so root may use more of it. */
const isRoot = process.getuid?.() === 0

/** Fails when less is free than any of the limits that are set. Needs at least one of them. */
export const disk = defineProbe(
  'disk',
  ({ z, size }) => ({
    path: z.string().min(1),
    /** Bytes that must be free. */
    free: size.optional(),
    freePercent: z.number().gt(0).max(100).optional(),
    /** Files that must still find room; a file system that does not count them always has. */
    inodes: z.int().min(1).optional(),
  }),
  async ({ path: given, free, freePercent, inodes }) => {
    if (free === undefined && freePercent === undefined && inodes === undefined)
      throw new Error('a disk probe needs free, freePercent or inodes')
    const path = homePath(given)
    return {
      async check() {
        try {
          const found = await statfs(path)
          const blocks = isRoot ? found.bfree : found.bavail
          const bytes = blocks * found.bsize
          const percent = found.blocks === 0 ? 100 : (blocks / found.blocks) * 100
          const left = `has ${sizeText(bytes)} (${Math.floor(percent)} %) left`
          if (free !== undefined && bytes < free)
            return fail(`the disk of ${path} ${left}, needs ${sizeText(free)}`)
          if (freePercent !== undefined && percent < freePercent)
            return fail(`the disk of ${path} ${left}, needs ${freePercent} %`)
          if (inodes !== undefined && found.files > 0 && found.ffree < inodes)
            return fail(`the disk of ${path} has room for ${found.ffree} more files, needs ${inodes}`)
          return pass()
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          if (code === 'ENOENT' || code === 'ENOTDIR') return fail(`${path} does not exist`)
          return unknown(`the disk of ${path} cannot be looked at: ${code ?? String(error)}`)
        }
      },
      close: () => Promise.resolve(),
    }
  },
)

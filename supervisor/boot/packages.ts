/**
 * Which packages a copy of this installation needs, and where each goes: the closure of the dependencies as
 * Node resolves them from here, whatever tool has installed them (npm, pnpm, a link), laid out anew below
 * one node_modules. A package goes to the top; where another version is already there, below the one that
 * needs it.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PaiosError } from '../errors.ts'

/** One package: its real folder, and its place below the copy, such as `node_modules/a/node_modules/b`. */
export type Placed = { readonly from: string; readonly to: string; readonly id: string }

/** What of a package.json matters here. */
type Manifest = {
  readonly name?: string
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** The pinned Node is copied as a program and not as a package. */
const NODE_PACKAGE = /^node-(bin-)?(linux|darwin)-/

/**
 * The packages that the installation at `root` needs at run time, the ones above before those below. Throws
 * runtime-missing where one of `dependencies` is not installed; optional and peer ones may be missing.
 */
export function neededPackages(root: string): Placed[] {
  const placed = new Map<string, Placed>()
  const waiting: { from: string; at: string }[] = [{ from: realpathSync(root), at: '' }]
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { from, at } = next
    for (const name of dependenciesOf(from)) {
      const found = resolvePackage(from, name.name)
      if (found === null) {
        if (name.isOptional) continue
        throw new PaiosError(
          'runtime-missing',
          `the package ${name.name}, which ${from} needs, is not installed: npm ci`,
        )
      }
      const to = placeFor(placed, at, name.name, found)
      if (to === null) continue
      const { version } = manifestOf(found)
      placed.set(to, { from: found, to, id: `${name.name}@${version}` })
      waiting.push({ from: found, at: to })
    }
  }
  return [...placed.values()]
}

/** Where a dependency goes, null if its dependent finds the very one already. */
function placeFor(
  placed: ReadonlyMap<string, Placed>,
  at: string,
  name: string,
  from: string,
): string | null {
  for (let folder = at; ; folder = parentOf(folder)) {
    const path = join(folder, 'node_modules', name)
    const there = placed.get(path)
    if (there) return there.from === from ? null : join(at, 'node_modules', name)
    if (folder === '') return path
  }
}

/** The package above: `node_modules/a/node_modules/b` → `node_modules/a` → the top. */
function parentOf(at: string): string {
  const cut = at.lastIndexOf('node_modules/')
  return cut <= 0 ? '' : at.slice(0, cut - 1)
}

function dependenciesOf(folder: string): { name: string; isOptional: boolean }[] {
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifestOf(folder)
  const optional = Object.keys({ ...optionalDependencies, ...peerDependencies })
  const needed = Object.keys(dependencies).filter((name) => !optional.includes(name))
  return [
    ...needed.map((name) => ({ name, isOptional: false })),
    ...optional.map((name) => ({ name, isOptional: true })),
  ].filter(({ name }) => !NODE_PACKAGE.test(name))
}

/** The real folder of a package as Node finds it from a folder, null if there is none. */
function resolvePackage(from: string, name: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate)
    if (dirname(folder) === folder) return null
  }
}

const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

/** The rules of the house, as code: layers, purity of the core, sizes, and what every piece must bring along. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const FOLDERS = ['supervisor', 'probes', 'schemas', 'services', 'launchd', 'test', 'bench']

/** Every TypeScript file below a folder, relative to the root. */
function filesIn(folder: string): string[] {
  const path = join(root, folder)
  if (!existsSync(path)) return []
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => name.endsWith('.ts') && statSync(join(root, name)).isFile())
}

const sources = FOLDERS.flatMap(filesIn)
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** One import: where it points, and whether it is only for types or happens late. */
type Import = { readonly target: string; readonly isType: boolean; readonly isLate: boolean }

function importsOf(file: string): Import[] {
  const text = read(file)
  const found: Import[] = []
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?'([^']+)'/gm)) {
    found.push({ target: place(file, match[2] ?? ''), isType: match[1] !== undefined, isLate: false })
  }
  for (const match of text.matchAll(/import\('([^']+)'\)(\.\w+)?/g)) {
    found.push({ target: place(file, match[1] ?? ''), isType: false, isLate: true })
  }
  return found
}

const place = (from: string, target: string) =>
  target.startsWith('.') ? relative(root, resolve(root, dirname(from), target)) : target

/** Which layer a file or package is. The longest prefix wins. */
const LAYERS = {
  core: ['supervisor/core/'],
  shell: ['supervisor/shell/', 'supervisor/export/', 'launchd/'],
  cli: ['supervisor/cli/'],
  errors: ['supervisor/errors.ts', 'supervisor/version.ts', 'supervisor/spec-hash.ts'],
  top: [
    'supervisor/alert-desk.ts',
    'supervisor/boot/',
    'supervisor/main.ts',
    'supervisor/chat-desk.ts',
    'supervisor/config.ts',
    'supervisor/control.ts',
    'supervisor/document/',
    'supervisor/declared.ts',
    'supervisor/document-watch.ts',
    'supervisor/discovery.ts',
    'supervisor/links/',
    'supervisor/offline.ts',
    'supervisor/runbook-choice.ts',
    'supervisor/repair-metrics.ts',
    'supervisor/repairing.ts',
  ],
  probes: ['probes/'],
  schemas: ['schemas/'],
  services: ['services/'],
} as const
type Layer = keyof typeof LAYERS

function layerOf(path: string): Layer | 'node' | 'package' | null {
  for (const [layer, prefixes] of Object.entries(LAYERS)) {
    if (prefixes.some((prefix) => path.startsWith(prefix))) return layer as Layer
  }
  if (path.startsWith('node:') || builtinModules.includes(path)) return 'node'
  return FOLDERS.some((folder) => path.startsWith(`${folder}/`)) ? null : 'package'
}

/** THE layer table: what each layer may import at run time. `late` is what it may reach through `import()`. */
const MAY: Record<Layer, { readonly now: readonly string[]; readonly late: readonly string[] }> = {
  core: { now: ['core'], late: [] },
  probes: { now: ['probes', 'node', 'package'], late: ['package'] },
  schemas: { now: ['schemas', 'probes', 'package'], late: [] },
  services: { now: ['services', 'schemas', 'package'], late: [] },
  shell: {
    now: ['shell', 'core', 'probes', 'schemas', 'errors', 'node', 'package'],
    late: ['shell', 'probes', 'package'],
  },
  errors: { now: ['errors', 'node'], late: [] },
  cli: {
    now: ['cli', 'errors', 'node'],
    late: ['cli', 'top', 'shell', 'services', 'schemas', 'probes', 'package'],
  },
  top: {
    now: ['top', 'shell', 'core', 'schemas', 'probes', 'services', 'errors', 'node', 'package'],
    late: ['top', 'shell', 'core', 'services', 'package'],
  },
}

/** Packages that one layer or file alone may import. */
const PACKAGES: Record<string, RegExp> = {
  execa: /^supervisor\/(cli|links)\//,
  'better-sqlite3': /^supervisor\/shell\/(journal|lock|report)\.ts$/,
  fastify: /^supervisor\/shell\/api\.ts$/,
  pino: /^supervisor\/shell\/logger\.ts$/,
  'prom-client': /^supervisor\/shell\/metrics\.ts$/,
  yaml: /^supervisor\/(document\/|export\/|config\.ts|discovery\.ts)/,
  zod: /^(schemas|services)\/|^supervisor\/(document\/|config\.ts|discovery\.ts)/,
}

describe('the layers', () => {
  for (const file of sources.filter((path) => layerOf(path) !== null)) {
    it(`${file} imports only what its layer may`, () => {
      const layer = layerOf(file) as Layer
      for (const { target, isType, isLate } of importsOf(file)) {
        const goal = layerOf(target)
        if (isType) continue
        const allowed = isLate ? [...MAY[layer].now, ...MAY[layer].late] : MAY[layer].now
        assert.ok(goal !== null && allowed.includes(goal), `${file} (${layer}) imports ${target} (${goal})`)
        const only = PACKAGES[target]
        if (only) assert.match(file, only, `${target} belongs to ${only}`)
      }
    })
  }

  it('has no import cycle', () => {
    const state = new Map<string, 'open' | 'done'>()
    const visit = (file: string, path: readonly string[]) => {
      if (state.get(file) === 'done') return
      assert.notEqual(state.get(file), 'open', `cycle: ${[...path, file].join(' → ')}`)
      state.set(file, 'open')
      const targets = importsOf(file).filter(({ isType, isLate }) => !isType && !isLate)
      for (const { target } of targets) if (sources.includes(target)) visit(target, [...path, file])
      state.set(file, 'done')
    }
    for (const file of sources) visit(file, [])
  })

  it('imports relative files with their ending', () => {
    for (const file of sources) {
      for (const { target } of importsOf(file)) {
        if (layerOf(target) !== 'package') continue
        assert.doesNotMatch(target, /^\.|^[@~]\//, `${file} imports ${target}`)
      }
    }
  })
})

describe('the core', () => {
  for (const file of filesIn('supervisor/core')) {
    it(`${file} has no clock, no input, no chance and no promise`, () => {
      const code = read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      const strings = code.replace(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, "''")
      const forbidden =
        /(?<![.\w])(globalThis\.)?(process\.(?!identity|run|started|log|adopted|pid)|performance\.|console\.|Date\b|Math\.random|set(?:Timeout|Interval|Immediate)|queueMicrotask|async\b|await\b|Promise\b|fetch\()/
      assert.doesNotMatch(strings, forbidden)
    })
  }
})

describe('sizes', () => {
  it('keeps files within 300 lines (tests 500) and lines within 110 characters', () => {
    for (const file of sources) {
      const lines = read(file).split('\n')
      assert.ok(lines.length <= (file.startsWith('test/') ? 501 : 301), `${file} has ${lines.length} lines`)
    }
    for (const file of sources.filter((path) => !path.startsWith('test/'))) {
      const long = read(file)
        .split('\n')
        .findIndex((line) => line.length > 120)
      assert.equal(long, -1, `${file}:${long + 1} is too long`)
    }
  })
})

describe('words', () => {
  it('names no file manager, helper, util or common', () => {
    for (const file of sources) assert.doesNotMatch(file, /(manager|helper|utils?|common)\b/)
  })

  it('leaves no unfinished business in the sources', () => {
    const words = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'not implem' + 'ented'].join('|'))
    for (const file of sources) assert.doesNotMatch(read(file), words, file)
  })

  it('does nothing silently in a catch', () => {
    for (const file of sources) assert.doesNotMatch(read(file), /catch\s*(\([^)]*\))?\s*\{\s*\}/, file)
  })

  it('documents every export', () => {
    for (const file of sources.filter((path) => !path.startsWith('test/') && !path.startsWith('bench/'))) {
      const lines = read(file).split('\n')
      for (const [index, line] of lines.entries()) {
        if (!/^export (async )?(function|const|class)\b/.test(line)) continue
        assert.match(lines[index - 1] ?? '', /\*\/\s*$/, `${file}:${index + 1} has no docstring: ${line}`)
      }
    }
  })
})

describe('what belongs together', () => {
  const presets = filesIn('services').map((file) => file.slice('services/'.length, -3))
  it('has a runbook with the six sections for every preset', () => {
    const { length } = presets.filter((name) => existsSync(join(root, 'runbooks', `${name}.md`)))
    assert.ok(length >= 3)
    for (const name of readdirSync(join(root, 'runbooks'))) {
      const text = read(join('runbooks', name))
      for (const section of ['Symptoms', 'Impact', 'Check', 'Recover', 'Verify', 'Escalate']) {
        assert.match(text, new RegExp(`^## ${section}$`, 'm'), `runbooks/${name} lacks ${section}`)
      }
    }
  })

  it('installs without running a script of any dependency, so that nothing has to be compiled', () => {
    assert.match(read('.npmrc'), /^ignore-scripts=true$/m)
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, object> }
    for (const [name, entry] of Object.entries(lock.packages)) assert.ok(!('hasInstallScript' in entry), name)
  })

  it('explains every dependency in docs/decisions', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
    const decisions = readdirSync(join(root, 'docs/decisions'))
      .map((name) => read(join('docs/decisions', name)))
      .join('\n')
    const names = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
      Object.keys(manifest[kind] ?? {}),
    )
    for (const name of names)
      assert.ok(decisions.includes(`\`${name}\``), `docs/decisions does not mention ${name}`)
  })
})

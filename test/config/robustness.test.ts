import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { readDocument } from '../../supervisor/document/file.ts'
import { PaiosError } from '../../supervisor/errors.ts'
import { meshOf, parse, problemsOf } from './sample-presets.ts'

const folder = mkdtempSync(join(tmpdir(), 'paios-document-'))
after(() => rmSync(folder, { recursive: true }))

const refusal = (path: string): PaiosError => {
  try {
    readDocument(path)
  } catch (error) {
    assert.ok(error instanceof PaiosError)
    return error
  }
  throw new assert.AssertionError({ message: 'the document was read' })
}

describe('readDocument', () => {
  it('returns the bytes of a file', () => {
    const path = join(folder, 'good.yaml')
    writeFileSync(path, 'version: 1\n')
    assert.equal(readDocument(path).toString(), 'version: 1\n')
  })

  it('says so for a missing file, a folder and a path through a file, with exit code 3', () => {
    mkdirSync(join(folder, 'folder.yaml'))
    assert.match(refusal(join(folder, 'none.yaml')).message, /there is no such file; `paios up`/)
    assert.match(refusal(join(folder, 'folder.yaml')).message, /is a folder/)
    assert.match(refusal(join(folder, 'good.yaml', 'x')).message, /ENOTDIR/)
    assert.equal(refusal(join(folder, 'none.yaml')).exitCode, 3)
    assert.equal(refusal(join(folder, 'none.yaml')).code, 'document-unreadable')
  })

  it('refuses a pipe and a device instead of waiting for them', () => {
    const pipe = join(folder, 'pipe.yaml')
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0)
    assert.match(refusal(pipe).message, /not a regular file/)
    assert.match(refusal('/dev/zero').message, /not a regular file/)
  })

  it('refuses a file of 10 MB by its size, without reading it', () => {
    const path = join(folder, 'large.yaml')
    writeFileSync(path, 'version: 1\n')
    truncateSync(path, 10_000_000)
    const error = refusal(path)
    assert.equal(error.code, 'document-too-large')
    assert.match(error.message, /9\.5 MiB large; a document may have at most 1 MiB/)
  })
})

describe('the text of a document', () => {
  it('must be UTF-8: the first bad byte is named with its place', () => {
    assert.deepEqual(problemsOf(Buffer.from([0x76, 0x3a, 0x0a, 0x61, 0xe9, 0x20])), [
      'paios.yaml:2:2 is not UTF-8: byte 0xe9 at offset 4; save the file as UTF-8',
    ])
    assert.deepEqual(problemsOf(Buffer.from([0x61, 0xe2, 0x82])), [
      'paios.yaml:1:2 is not UTF-8: byte 0xe2 at offset 1; save the file as UTF-8',
    ])
    assert.deepEqual(problemsOf(Buffer.from('\uFEFFversion: 1', 'utf16le')), [
      'paios.yaml:1:1 is not UTF-8: byte 0xff at offset 0; save the file as UTF-8',
    ])
  })

  it('names the exact offset of any single bad byte', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string(),
        fc.constantFrom(0x80, 0xc0, 0xff),
        (head, tail, bad) => {
          const bytes = Buffer.concat([Buffer.from(head), Buffer.from([bad]), Buffer.from(tail)])
          const offset = Buffer.from(head).length
          assert.match(
            problemsOf(bytes)[0] ?? '',
            new RegExp(`byte 0x${bad.toString(16)} at offset ${offset};`),
          )
        },
      ),
    )
  })

  it('may begin with a byte order mark, which moves no column', () => {
    assert.deepEqual(meshOf('\uFEFFversion: 1').specs, [])
    assert.deepEqual(problemsOf(Buffer.from('\uFEFFverson: 1')), [
      'paios.yaml:1:1 version: is missing: expected 1',
      'paios.yaml:1:1 verson: unknown key `verson` (did you mean `version`?)',
    ])
  })

  it('is refused when empty, not a map, or holding control characters', () => {
    for (const text of ['', '# only a comment\n', '---\n', 'null', '~']) {
      assert.deepEqual(problemsOf(text), ['paios.yaml:1:1 is empty: it needs at least `version: 1`'])
    }
    assert.deepEqual(problemsOf('[]'), ['paios.yaml:1:1 expected a map, got a list'])
    assert.deepEqual(problemsOf('version: 1\nx: a\0b'), [
      'paios.yaml:2:5 control character 0x00 is not allowed',
    ])
    assert.deepEqual(problemsOf('version: 1\nservices: { a: { command: ["x\\0"] } }'), [
      'paios.yaml:2:28 a NUL character is not allowed',
    ])
  })

  it('is refused with duplicate keys, tags, several documents, keys that are no text, a prototype', () => {
    assert.deepEqual(problemsOf('version: 1\nservices: {}\nservices: {}'), [
      'paios.yaml:3:1 the key `services` is written twice',
    ])
    assert.match(problemsOf('version: !!js/function "x"')[0] ?? '', /1:10 tags such as `!name` are not known/)
    assert.match(problemsOf('version: !secret x')[0] ?? '', /1:10 tags such as `!name` are not known/)
    assert.match(
      problemsOf('version: 1\n---\nversion: 1')[0] ?? '',
      /2:\d more than one document|2:\d there is more/,
    )
    assert.deepEqual(problemsOf('{ [a]: 1 }'), ['paios.yaml:1:3 a key must be text'])
    assert.deepEqual(problemsOf('version: 1\nservices: { __proto__: { command: [x] } }'), [
      'paios.yaml:2:13 unknown key `__proto__`',
    ])
    assert.equal(
      meshOf('version: 1\nservices: { constructor: { command: [x] } }').specs[0]?.name,
      'constructor',
    )
  })

  it('points at the place of a syntax error', () => {
    assert.match(problemsOf('version: 1\n\tx: 1')[0] ?? '', /paios\.yaml:2:1 is not valid YAML: tabs/)
    assert.match(problemsOf('version: 1\nservices: {')[0] ?? '', /paios\.yaml:2:\d+ is not valid YAML/)
  })
})

describe('aliases', () => {
  it('may share a few values, and problems inside them point at the anchor', () => {
    const text = (value: string) => `version: 1
services:
  a: { command: [x], env: &e { A: ${value} } }
  b: { command: [x], env: *e }
`
    assert.deepEqual(
      meshOf(text('"1"')).specs.map((spec) => spec.env),
      [{ A: '1' }, { A: '1' }],
    )
    assert.equal(problemsOf(text('1')).filter((line) => line.startsWith('paios.yaml:3:35 ')).length, 2)
  })

  it('that multiply, contain themselves or have no anchor are refused at once', () => {
    const bomb = (fan: number, depth: number) =>
      Array.from({ length: depth }, (_, i) => {
        return `k${i}: &k${i} [${Array(fan)
          .fill(i === 0 ? 'x' : `*k${i - 1}`)
          .join(', ')}]`
      }).join('\n')
    assert.match(problemsOf(bomb(9, 9))[0] ?? '', /more than 64 aliases/)
    assert.match(problemsOf(bomb(2, 30))[0] ?? '', /aliases that multiply beyond 64 copies/)
    assert.deepEqual(problemsOf('a: &a [*a]'), ['paios.yaml:1:8 alias `*a` contains itself'])
    assert.deepEqual(problemsOf('a: *b'), ['paios.yaml:1:4 alias `*b` has no anchor before it'])
  })
})

describe('any text at all', () => {
  it('gives a result and never an exception, however deep, wide or long', () => {
    const hostile = [
      '['.repeat(20_000),
      '{a: '.repeat(20_000),
      '- '.repeat(20_000),
      '? '.repeat(20_000),
      'a: '.repeat(9999),
    ]
    for (const text of hostile) assert.ok(!parse(text).ok)
    const wide = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n')
    assert.equal(problemsOf(`version: 1\n${wide}`).length, 20_000)
    assert.deepEqual(problemsOf(`version: 1\nservices: ${'{ a: '.repeat(40)}${'}'.repeat(40)}`), [
      'paios.yaml:2:166 is nested deeper than 32 levels',
    ])
    assert.deepEqual(problemsOf(`version: 1\n#${'x'.repeat(1024 ** 2)}`), [
      'paios.yaml:1:1 is larger than 1 MiB',
    ])
  })

  it('gives problems with a place inside the text, for random YAML', () => {
    const word = fc.constantFrom(
      ...[
        'version',
        'services',
        'groups',
        'kb',
        'command',
        'needs',
        'preset',
        'process',
        'env',
        'probes',
        'kind',
        'tcp',
      ],
      ...[
        ': ',
        '\n',
        '\n  ',
        '\n    ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        ', ',
        '&a ',
        '*a',
        '!t ',
        '"',
        "'",
        '#',
        '|',
        '1',
        '~',
        '---\n',
      ],
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.boolean(), (words, isHeaded) => {
        const text = `${isHeaded ? 'version: 1\n' : ''}${words.join('')}`
        const result = parse(text)
        const rows = text.split('\n')
        for (const problem of result.ok ? result.mesh.warnings : result.problems) {
          assert.ok(
            problem.line >= 1 && problem.line <= rows.length,
            `line ${problem.line} of ${JSON.stringify(text)}`,
          )
          assert.ok(problem.column >= 1 && problem.column <= (rows[problem.line - 1]?.length ?? 0) + 1)
          assert.notEqual(problem.message, '')
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('gives problems and no exception for random data in the shape of a document', () => {
    const key = fc.constantFrom(
      'preset',
      'command',
      'needs',
      'group',
      'env',
      'probes',
      'stop',
      'port',
      'restart',
      'x',
    )
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('process', 'openclaw-gateway', 'a', 'b', 'g', ['a'], ['g', 'b'], [{ service: 'a' }], {
        A: 'b',
      }),
    )
    const service = fc.dictionary(key, value)
    const document = fc.record({
      version: fc.constant(1),
      services: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'A b'), service),
      groups: fc.dictionary(
        fc.constantFrom('g', 'h', 'a'),
        fc.dictionary(fc.constantFrom('group', 'needs'), value),
      ),
    })
    fc.assert(
      fc.property(document, (data) => {
        const result = parse(JSON.stringify(data))
        assert.ok(result.ok || result.problems.length > 0)
      }),
      { numRuns: 1000 },
    )
  })
})

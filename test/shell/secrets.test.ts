import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { expandHome, MissingSecret, openSecrets } from '../../supervisor/shell/secrets.ts'

const folder = mkdtempSync('/tmp/ps-')
after(() => rmSync(folder, { recursive: true }))
const place = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

describe('references to secrets', () => {
  it('${file:…} is the text of a file without the line break at its end', () => {
    const path = place('token', 'abc def\n')
    assert.equal(openSecrets('/nowhere').resolve(`x-\${file:${path}}-y`), 'x-abc def-y')
  })

  it("${env:…} is of the home's env file first, quotes taken off, then of the supervisor's own environment", (t) => {
    const file = place('env', '# a comment\nexport FIRST="in the file"\nSECOND = plain \nEMPTY=\n')
    process.env['FIRST'] = 'in the environment'
    process.env['PAIOS_TEST_ONLY_HERE'] = 'environment'
    t.after(() => {
      delete process.env['FIRST']
      delete process.env['PAIOS_TEST_ONLY_HERE']
    })
    const { resolve } = openSecrets(file)
    assert.equal(resolve('${env:FIRST}'), 'in the file')
    assert.equal(resolve('${env:SECOND}'), 'plain')
    assert.equal(resolve('${env:PAIOS_TEST_ONLY_HERE}'), 'environment')
  })

  it('is read anew each time: a file that was rotated counts at once', () => {
    const path = place('rotated', 'the old one')
    const { resolve } = openSecrets('/nowhere')
    assert.equal(resolve(`\${file:${path}}`), 'the old one')
    place('rotated', 'the new one')
    assert.equal(resolve(`\${file:${path}}`), 'the new one')
  })

  it('${json:…#a.b} is a text inside a JSON5 file', () => {
    const path = place(
      'config.json5',
      "{ gateway: { auth: { token: 'deep inside' }, port: 1 } } // a comment",
    )
    const { resolve } = openSecrets('/nowhere')
    assert.equal(resolve(`\${json:${path}#gateway.auth.token}`), 'deep inside')
    assert.throws(() => resolve(`\${json:${path}#gateway.port}`), /the file has no text there/)
    assert.throws(() => resolve(`\${json:${path}#none.at.all}`), /the file has no text there/)
  })

  it('are found at every depth, and everything else stays as it was', () => {
    const path = place('deep', 'found')
    const value = { a: [`\${file:${path}}`, 7, null, true], b: { c: 'plain $HOME ${OTHER}' } }
    assert.deepEqual(openSecrets('/nowhere').resolve(value), {
      a: ['found', 7, null, true],
      b: { c: 'plain $HOME ${OTHER}' },
    })
  })

  it('that cannot be read are named with the place and the reason, never with a value', () => {
    const broken = place('broken.json5', '{ token: "very-secret-value", ')
    const { resolve } = openSecrets(place('env', 'KNOWN=another-secret-value\n'))
    const cases: [string, RegExp][] = [
      ['${file:/nowhere/token}', /\$\{file:\/nowhere\/token\} cannot be read: ENOENT/],
      [
        '${env:PAIOS_TEST_MISSING}',
        /\$\{env:PAIOS_TEST_MISSING\} is neither in .*env nor in the environment/,
      ],
      [`\${json:${broken}#token}`, /cannot be read: it does not parse/],
    ]
    for (const [reference, says] of cases) {
      assert.throws(
        () => resolve(['${env:KNOWN}', reference]),
        (error: Error) => {
          assert.ok(error instanceof MissingSecret)
          assert.match(error.message, says)
          assert.doesNotMatch(error.message, /secret-value/)
          return true
        },
      )
    }
  })
})

describe('redaction', () => {
  it('strikes out every value that was read, wherever it stands, and leaves short ones', () => {
    const secrets = openSecrets(place('env', 'LONG=s3cr3t-value\nSHORT=on\n'))
    assert.equal(secrets.redact('s3cr3t-value'), 's3cr3t-value', 'nothing was read yet')
    secrets.resolve('${env:LONG} ${env:SHORT}')
    assert.equal(secrets.redact('a s3cr3t-value, s3cr3t-value on'), 'a [redacted], [redacted] on')
  })

  it('of a value that another one contains leaves no rest of the longer', () => {
    const secrets = openSecrets(place('env', 'PART=abcdef\nWHOLE=abcdef-and-the-rest\n'))
    secrets.resolve('${env:PART} ${env:WHOLE}')
    assert.equal(secrets.redact('x abcdef-and-the-rest y'), 'x [redacted] y')
  })

  it('finds a value inside JSON, where quotes and line breaks are written with a backslash', () => {
    const secrets = openSecrets('/nowhere')
    const path = place('key', 'line "one"\nline two')
    secrets.resolve(`\${file:${path}}`)
    const text = JSON.stringify({ env: 'line "one"\nline two' })
    assert.equal(secrets.redact(text), '{"env":"[redacted]"}')
  })
})

describe('expandHome', () => {
  it('expands a leading ~/ and a lone ~, nothing else', () => {
    assert.equal(expandHome('~/x'), join(homedir(), 'x'))
    assert.equal(expandHome('~'), homedir())
    assert.equal(expandHome('/a/~/b'), '/a/~/b')
    assert.equal(expandHome('~other/x'), '~other/x')
  })
})

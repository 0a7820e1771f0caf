import type { S3Client } from './s3-client.ts';
import { type XmlElement, parseXml, textOf } from './s3-xml.ts';

/** An object, or one of its versions in a bucket that keeps them. */
export interface S3Object {
  readonly key: string;
  /** Empty in a listing without versions. */
  readonly versionId: string;
  /** A marker is what a deletion leaves in a bucket that keeps versions; it holds nothing. */
  readonly isMarker: boolean;
  /** The service's tag of its bytes: the same for the same bytes that were sent in the same way. */
  readonly tag: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** An upload that was begun and neither completed nor given up. */
interface S3Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
}

/** The objects whose keys begin so, in the order of their keys. */
export async function* listObjects(client: S3Client, prefix: string): AsyncGenerator<S3Object> {
  let more: Record<string, string> = {};
  for (;;) {
    const page = await listPage(client, { 'list-type': '2', prefix, ...more }, 's3:ListBucket');
    for (const element of page.children) if (element.name === 'Contents') yield objectOf(element);
    const token = textOf(page, 'NextContinuationToken');
    if (textOf(page, 'IsTruncated') !== 'true' || token === '') return;
    more = { 'continuation-token': token };
  }
}

/** All versions whose keys begin so, in the order of their keys; those of one key from the newest to the oldest. */
export async function* listVersions(
  client: S3Client,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<S3Object> {
  let more: Record<string, string> = {};
  for (;;) {
    const page = await listPage(client, { versions: '', prefix, ...more }, 's3:ListBucketVersions', signal);
    for (const element of page.children)
      if (element.name === 'Version' || element.name === 'DeleteMarker') yield objectOf(element);
    const key = textOf(page, 'NextKeyMarker');
    if (textOf(page, 'IsTruncated') !== 'true' || key === '') return;
    more = { 'key-marker': key, 'version-id-marker': textOf(page, 'NextVersionIdMarker') };
  }
}

/** The uploads under way whose keys begin so. */
export async function* listUploads(client: S3Client, prefix: string): AsyncGenerator<S3Upload> {
  let more: Record<string, string> = {};
  for (;;) {
    const page = await listPage(client, { uploads: '', prefix, ...more }, 's3:ListBucketMultipartUploads');
    for (const element of page.children) {
      if (element.name !== 'Upload') continue;
      const initiatedMs = Date.parse(textOf(element, 'Initiated'));
      yield { key: textOf(element, 'Key'), uploadId: textOf(element, 'UploadId'), initiatedMs };
    }
    const key = textOf(page, 'NextKeyMarker');
    if (textOf(page, 'IsTruncated') !== 'true' || key === '') return;
    more = { 'key-marker': key, 'upload-id-marker': textOf(page, 'NextUploadIdMarker') };
  }
}

async function listPage(
  client: S3Client,
  query: Readonly<Record<string, string>>,
  permission: string,
  signal?: AbortSignal,
): Promise<XmlElement> {
  const { text } = await client.call({ method: 'GET', query, what: 'list names', permission, signal });
  return parseXml(text);
}

function objectOf(element: XmlElement): S3Object {
  return {
    key: textOf(element, 'Key'),
    versionId: textOf(element, 'VersionId'),
    isMarker: element.name === 'DeleteMarker',
    tag: textOf(element, 'ETag'),
    bytes: Number(textOf(element, 'Size')),
    modifiedMs: Date.parse(textOf(element, 'LastModified')),
  };
}

// The published client, with a note of every request that worked.

import assert from "node:assert/strict";
import { CanvasApi, CanvasApiResponseError } from "@kth/canvas-api";

export class Client {
  constructor(url, token, made) {
    this.api = new CanvasApi(`${url}/api/v1`, token);
    this.made = made;
  }

  async call(method, path, body) {
    const response =
      method === "GET"
        ? await this.api.get(path)
        : await this.api.request(path, method, body);
    this.made.push([method, `/api/v1/${path.split("?")[0]}`]);
    return response;
  }

  async get(path) {
    return (await this.call("GET", path)).json;
  }

  async post(path, body, status = 200) {
    const response = await this.call("POST", path, body);
    assert.equal(response.statusCode, status);
    return response.json;
  }

  async pages(path, query) {
    return this.api.listPages(path, query).toArray();
  }

  async items(path, query) {
    return this.api.listItems(path, query).toArray();
  }

  // The body of a refusal, which must have this status and name the request.
  async refused(status, method, path, body) {
    const error = await this.call(method, path, body).then(
      () => assert.fail(`${method} ${path} was not refused`),
      (reason) => reason,
    );
    assert.ok(error instanceof CanvasApiResponseError, String(error));
    const { statusCode, headers, json } = error.response;
    assert.equal(statusCode, status, JSON.stringify(json));
    const { reference_id: reference, ...rest } = json;
    assert.equal(reference, headers["x-request-id"]);
    return rest;
  }
}

// Azure ML: the workspace whose clusters run heavy steps. They stand at 0 nodes until a job comes.
param name string
param location string
param tags object
param logsId string
param insightsId string
param vaultId string
param registryId string
param subnetId string
param operatorAddresses array

@description('The account for what the workspace itself writes: logs and code of jobs. No video, no picture.')
param ownStorageName string

@description('The identity of the machines, which may read SQL and Blob: resource id.')
param machinesIdentityId string

@description('Object ids of those who submit jobs.')
param submitters array

param cpuSize string
param gpuSize string
param mostCpuNodes int
param mostGpuNodes int

var dataScientist = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'f6c7c914-8db3-469d-8ca1-694a8f32e121')
var blobDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
var fileDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '69566ab7-960f-475b-8e7c-b3118f30c6bd')

resource ownStorage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: ownStorageName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: 'Standard_ZRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Disabled'
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'AzureServices'
    }
  }
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    friendlyName: 'Chimp Assets'
    storageAccount: ownStorage.id
    keyVault: vaultId
    containerRegistry: registryId
    applicationInsights: insightsId
    systemDatastoresAuthMode: 'identity' // the account takes no key
    publicNetworkAccess: empty(operatorAddresses) ? 'Disabled' : 'Enabled'
    ipAllowlist: operatorAddresses
    v1LegacyMode: false
  }
}

resource ownBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: ownStorage
  name: guid(ownStorage.id, workspace.id, blobDataContributor)
  properties: {
    principalId: workspace.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: blobDataContributor
  }
}

resource ownFiles 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: ownStorage
  name: guid(ownStorage.id, workspace.id, fileDataContributor)
  properties: {
    principalId: workspace.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: fileDataContributor
  }
}

resource cpuCluster 'Microsoft.MachineLearningServices/workspaces/computes@2024-10-01' = {
  parent: workspace
  name: 'cpu'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${machinesIdentityId}': {}
    }
  }
  properties: {
    computeType: 'AmlCompute'
    disableLocalAuth: true
    properties: {
      vmSize: cpuSize
      vmPriority: 'Dedicated'
      enableNodePublicIp: false
      remoteLoginPortPublicAccess: 'Disabled'
      subnet: {
        id: subnetId
      }
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: mostCpuNodes
        nodeIdleTimeBeforeScaleDown: 'PT10M'
      }
    }
  }
}

resource gpuCluster 'Microsoft.MachineLearningServices/workspaces/computes@2024-10-01' = {
  parent: workspace
  name: 'gpu'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${machinesIdentityId}': {}
    }
  }
  properties: {
    computeType: 'AmlCompute'
    disableLocalAuth: true
    properties: {
      vmSize: gpuSize
      vmPriority: 'Dedicated'
      enableNodePublicIp: false
      remoteLoginPortPublicAccess: 'Disabled'
      subnet: {
        id: subnetId
      }
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: mostGpuNodes
        nodeIdleTimeBeforeScaleDown: 'PT10M'
      }
    }
  }
}

resource submits 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in submitters: {
  scope: workspace
  name: guid(workspace.id, principalId, dataScientist)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: dataScientist
  }
}]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workspace
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      {
        category: 'AmlComputeJobEvent'
        enabled: true
      }
      {
        category: 'AmlRunStatusChangedEvent'
        enabled: true
      }
    ]
  }
}

output id string = workspace.id
output name string = workspace.name
output ownStorageId string = ownStorage.id
output cpuClusterName string = cpuCluster.name
output gpuClusterName string = gpuCluster.name
